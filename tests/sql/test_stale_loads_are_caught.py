"""Reports are published of a load that is of this build: each way in which it is not, done once, fails the check."""

from collections.abc import Callable

import psycopg
import pytest

from tests.sql.conftest import Models, messages

CHECK = "assert_every_load_is_fresh"
STALE = {
    "load of before": "UPDATE meta.load_cursors SET loaded_at = loaded_at - INTERVAL 1 HOUR",
    "table never loaded": "DELETE FROM meta.load_cursors WHERE table_name = 'user_heartbeats'",
    "tables of two moments": "UPDATE meta.load_cursors SET snapshot = 'earlier' WHERE table_name = 'accounts'",
    "nothing loaded": "DELETE FROM meta.load_cursors",
    "no build": "DELETE FROM meta.builds",
    "totals of a build before": "UPDATE marts.rpt_totals SET refreshed_at = refreshed_at - INTERVAL 1 HOUR",
    "no totals": "DELETE FROM marts.rpt_totals",
}


@pytest.fixture(scope="module")
def fresh(make_models: Callable[[], Models], module_database: psycopg.Connection) -> Models:
    models = make_models()
    models.copy_raw(module_database)
    models.build("--select", "+rpt_totals")
    return models


@pytest.fixture
def copied(fresh: Models, make_models: Callable[[], Models]) -> Models:
    models = make_models()
    models.warehouse_path.write_bytes(fresh.warehouse_path.read_bytes())
    return models


def test_now_is_when_postgres_was_read(copied: Models) -> None:
    copied.execute("UPDATE meta.builds SET loaded_at = '2024-02-29 12:00:00.5+01'")
    copied.build("--select", "rpt_totals")
    assert copied.rows("SELECT refreshed_at::VARCHAR FROM marts.rpt_totals") == [("2024-02-29 11:00:00.5+00",)]


@pytest.mark.parametrize("way", sorted(STALE))
def test_stale_load_fails_the_check(copied: Models, way: str) -> None:
    copied.execute(STALE[way])
    assert list(messages(copied.dbt("test", "--select", CHECK))) == [CHECK]


@pytest.mark.parametrize(
    "harmless",
    [
        "UPDATE meta.load_cursors SET loaded_at = loaded_at - INTERVAL 59 MINUTE",
        "INSERT INTO meta.load_cursors VALUES ('a table of an older footfall', 'long ago', '2024-02-29 00:00Z')",
    ],
    ids=["load of just before", "table of before"],
)
def test_fresh_load_passes_the_check(copied: Models, harmless: str) -> None:
    copied.execute(harmless)
    assert messages(copied.dbt("test", "--select", CHECK)) == {}
