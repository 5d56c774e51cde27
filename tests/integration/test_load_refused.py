"""What Postgres refuses during a load is one line: what it was asked to do, why not, and what helps."""

import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import make_url

import warehouse.load
from warehouse.errors import PostgresQueryFailed
from warehouse.load import load
from warehouse.standing import require_stamped

KILL_OTHERS = """
    SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture
def url_of_weak_user(database: psycopg.Connection, database_url: str) -> Iterator[str]:
    """Of one who may read every table but `users`."""
    name = f"weak_{uuid.uuid4().hex[:8]}"
    database.execute(f"""
        CREATE ROLE {name} LOGIN PASSWORD 'weak';
        GRANT USAGE ON SCHEMA public TO {name};
        GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name};
        REVOKE SELECT ON users FROM {name}
    """)
    yield make_url(database_url).set(username=name, password="weak").render_as_string(hide_password=False)
    database.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")


def test_missing_right_is_named_in_a_line(url_of_weak_user: str, tmp_path: Path) -> None:
    with pytest.raises(PostgresQueryFailed, match="permission denied for table users") as refused:
        load(url_of_weak_user, tmp_path / "warehouse.duckdb")
    told = str(refused.value)
    assert told.startswith("Postgres refused to look for restored rows: ")
    assert told.endswith("(give the user of DATABASE_URL that right)")
    assert "SELECT" not in told
    assert "\n" not in told


def test_connection_killed_in_a_check_is_a_line(
    database: psycopg.Connection, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def be_killed_before(*given: object) -> None:
        database.execute(KILL_OTHERS)
        require_stamped(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(warehouse.load, "require_stamped", be_killed_before)
    with pytest.raises(PostgresQueryFailed, match=r"terminating connection .* then try again") as refused:
        load(database_url, tmp_path / "warehouse.duckdb")
    assert "SELECT" not in str(refused.value)
    assert "\n" not in str(refused.value)
