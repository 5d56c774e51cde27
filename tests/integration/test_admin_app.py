"""The read side's page, on files that `publish` made."""

from pathlib import Path

import duckdb
import pytest
from flask.testing import FlaskClient

from admin_app.app import create_app
from admin_app.settings import AdminSettings
from warehouse.builds import begin_build, finish_build
from warehouse.publish import publish


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "warehouse").mkdir()
    return tmp_path


@pytest.fixture
def client(home: Path) -> FlaskClient:
    return create_app(AdminSettings(footfall_home=home)).test_client()


def test_page_before_first_refresh_says_what_to_do(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    page = client.get("/")
    assert page.status_code == 200
    assert "Nothing is published yet" in page.text
    assert "footfall refresh" in page.text


def test_page_lists_what_is_published_now(client: FlaskClient, home: Path) -> None:
    for rows in (1, 1_234):
        _publish(home, rows)
        page = client.get("/").text
        assert "rpt_demo" in page
        assert f'<td class="number">{rows:,}</td>' in page
        assert "Rows &lt;of&gt; a demo." in page


def _publish(home: Path, rows: int) -> None:
    warehouse = home / "warehouse" / "warehouse.duckdb"
    begin_build(warehouse, "a build")
    with duckdb.connect(str(warehouse)) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS marts")
        connection.execute(f"CREATE OR REPLACE TABLE marts.rpt_demo AS FROM range({rows})")
        connection.execute("COMMENT ON TABLE marts.rpt_demo IS 'Rows <of> a demo.'")
    finish_build(warehouse, "a build")
    publish(warehouse, home / "warehouse" / "analytics.duckdb")
