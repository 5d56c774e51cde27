"""Bots change no number but their own, whatever mart is added: each is built with their rows and without."""

from collections.abc import Callable

import psycopg
import pytest

from tests.sql import rows
from tests.sql.conftest import Models, Rows

MARKED = ("activity_events", "tracking_documents", "tracking_events")
OF_BOTS = "rpt_bot_traffic_daily"


@pytest.fixture(scope="module")
def everybody(make_models: Callable[[], Models], module_database: psycopg.Connection) -> Models:
    rows.insert_all(module_database)
    models = make_models()
    models.copy_raw(module_database)
    models.build(as_of=rows.AS_OF.isoformat())
    return models


@pytest.fixture(scope="module")
def people(make_models: Callable[[], Models], everybody: Models) -> Models:
    models = make_models()
    models.warehouse_path.write_bytes(everybody.warehouse_path.read_bytes())
    for table in MARKED:
        models.execute(f"DELETE FROM raw.{table} WHERE is_bot")
    models.build(as_of=rows.AS_OF.isoformat())
    return models


def test_every_table_with_bots_has_some(everybody: Models) -> None:
    marked = "SELECT table_name FROM duckdb_columns() WHERE schema_name = 'raw' AND column_name = 'is_bot' ORDER BY ALL"
    assert [name for (name,) in everybody.rows(marked)] == list(MARKED)
    counts = {table: everybody.rows(f"SELECT count(*) FROM raw.{table} WHERE is_bot") for table in MARKED}
    assert [table for table, count in counts.items() if count < [(10,)]] == []


def test_bots_change_no_report_but_theirs(everybody: Models, people: Models) -> None:
    marts = [name for (name,) in everybody.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'")]
    assert len(marts) > 7
    assert [mart for mart in marts if _read(everybody, mart) != _read(people, mart)] == [OF_BOTS]
    assert _read(people, OF_BOTS) == []


def test_bots_alone_are_counted_as_bots(everybody: Models) -> None:
    day, other = rows.BOT_DAY.date(), rows.SIGNUP_DAY.date()
    query = f"SELECT * FROM marts.{OF_BOTS} WHERE event_date >= DATE '{day}'"
    assert everybody.rows(query) == [(day, "Crawled", 2)]
    assert other in [found for (found,) in everybody.rows("SELECT event_date FROM marts.rpt_event_usage_daily")]


def _read(models: Models, mart: str) -> Rows:
    return models.rows(f"SELECT * FROM marts.{mart} ORDER BY ALL")
