"""What came in is what is there: `meta.conservation` on good days, and what it says of a row or a count that is broken.

It is looked at as a view, so that each break shows at once, and is taken back.
"""

from collections.abc import Callable, Iterator
from datetime import date
from uuid import UUID

import duckdb
import psycopg
import pytest

from tests.sql import rows
from tests.sql.conftest import Models, Rows, messages
from tests.sql.test_bots_are_left_out import MARKED
from tests.sql.views import replace_tables
from warehouse.archive.sources import make_received_days_view

CHECK = "assert_events_are_conserved"
DAY_CHECK = "assert_every_received_row_has_a_day"
BERLIN = "Europe/Berlin"
DAY, CANARIES_DAY = date(2024, 2, 29), date(2024, 3, 1)
CANARIES_AT = "2024-02-29 23:30:00Z"
ACCEPTED = "accepted = stored + duplicate + rejected + dropped"
RAW = "raw = stored + inserted - erased"
DATED = "dated = mart + uncounted_bot + canary"
# as the drainer writes it, here with a repetition and a refusal an hour
COUNT_INTAKE = """
    INSERT INTO intake_counts (received_hour, table_name, node_name, accepted_count, stored_count, duplicate_count,
        rejected_count)
    SELECT date_trunc('hour', received_at), '{table}', 'a', count(*) + 2, count(*), 1, 1 FROM {table} GROUP BY 1
"""
A_ROW = "id = (SELECT min(id) FROM raw.tracking_documents WHERE is_bot)"
BREAKS = {
    "raw row deleted": (f"DELETE FROM raw.tracking_documents WHERE {A_ROW}", "tracking_documents", RAW, None),
    "mart row deleted": (
        "DELETE FROM marts.rpt_daily_activity WHERE activity_date = '2024-02-29'", "activity_events", DATED, DAY,
    ),
    "mart row added": (
        """
        INSERT INTO marts.rpt_document_opens_daily
        SELECT * REPLACE ('Z9' AS level_name) FROM marts.rpt_document_opens_daily WHERE open_date = '2024-02-29' LIMIT 1
        """, "tracking_documents", DATED, DAY,
    ),
    "bot counted twice": (
        """
        UPDATE marts.rpt_bot_traffic_daily SET event_count = event_count + 1
        WHERE event_date = '2024-02-29' AND app_name = 'DViz'
        """, "tracking_events", DATED, DAY,
    ),
    "record lost on its way": (
        "UPDATE raw.intake_counts SET accepted_count = accepted_count + 1 WHERE table_name = 'tracking_events'",
        "tracking_events", ACCEPTED, None,
    ),
    "row counted and not there": (
        """
        UPDATE raw.intake_counts SET stored_count = stored_count + 1, duplicate_count = duplicate_count - 1
        WHERE table_name = 'activity_events'
        """, "activity_events", RAW, None,
    ),
}  # fmt: skip
NO_FAULTS = {
    "row of plain SQL": """
        UPDATE raw.intake_counts SET stored_count = stored_count - 1, accepted_count = accepted_count - 1
    """,
    "nothing was counted": "DELETE FROM raw.intake_counts",
    "row erased": f"""
        DELETE FROM raw.tracking_documents WHERE {A_ROW};
        UPDATE raw.intake_counts SET erased_count = 1 WHERE table_name = 'tracking_documents'
    """,
}
FAULTS = "SELECT table_name, broken_term, day FROM meta.conservation WHERE NOT is_conserved"


@pytest.fixture(scope="module")
def built(make_models: Callable[[], Models], module_database: psycopg.Connection) -> Models:
    """Marts of days of Berlin, of events that were all counted as they came, canaries among them."""
    rows.insert_all(module_database)
    rows.insert(module_database, "tracking_events", [a_canary(number) for number in range(3)])
    for table in MARKED:
        module_database.execute(COUNT_INTAKE.format(table=table).encode())
    models = make_models()
    models.copy_raw(module_database)
    models.build(as_of=rows.AS_OF.isoformat(), reporting_timezone=BERLIN)
    return models


@pytest.fixture(scope="module")
def shown(make_models: Callable[[], Models], built: Models) -> Models:
    """The same, and what is told of the marts follows each change."""
    models = make_models()
    models.warehouse_path.write_bytes(built.warehouse_path.read_bytes())
    replace_tables(models, "int_dated_events conservation", BERLIN, rows.AS_OF.isoformat())
    return models


@pytest.fixture
def undone(shown: Models) -> Iterator[duckdb.DuckDBPyConnection]:
    """A transaction that is taken back."""
    with duckdb.connect(str(shown.warehouse_path)) as connection:
        connection.execute("SET TimeZone = 'UTC'; BEGIN")
        yield connection
        connection.execute("ROLLBACK")


def a_canary(number: int) -> rows.Row:
    """One of footfall's own events, as it comes of its posting them."""
    return {
        "event_id": UUID(int=(5 << 124) + number),
        "user_type": "guest",
        "app_name": "footfall.canary",
        "event_type": "button",
        "event_name": "canary",
        "created_at": CANARIES_AT,
        "is_bot": True,
    }


def test_every_counted_event_is_conserved(shown: Models) -> None:
    assert shown.rows(FAULTS) == []
    [(events, stored, raw, dated)] = shown.rows("""
        SELECT (SELECT count(*) FROM raw.tracking_events), sum(stored_count), sum(raw_count), sum(dated_count)
        FROM meta.conservation WHERE table_name = 'tracking_events'
    """)
    assert events == stored == raw == dated > 1500


def test_canaries_are_counted_beside_the_marts(built: Models) -> None:
    found = "SELECT day, canary_count FROM meta.conservation WHERE canary_count > 0"
    assert built.rows(found) == [(CANARIES_DAY, 3)]
    assert built.rows("SELECT count(*) FROM meta.canary") == [(3,)]


def test_canaries_change_no_mart(make_models: Callable[[], Models], built: Models) -> None:
    without = make_models()
    without.warehouse_path.write_bytes(built.warehouse_path.read_bytes())
    without.execute("DELETE FROM raw.tracking_events WHERE app_name = 'footfall.canary'")
    without.build("--full-refresh", as_of=rows.AS_OF.isoformat(), reporting_timezone=BERLIN)
    marts = [name for (name,) in built.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'")]
    assert [name for name in marts if all_of(without, name) != all_of(built, name)] == []


@pytest.mark.parametrize("name", sorted(BREAKS))
def test_broken_equation_is_named(undone: duckdb.DuckDBPyConnection, name: str) -> None:
    statement, table, term, day = BREAKS[name]
    undone.execute(statement)
    [(found_table, found_term, found_day), *more] = undone.execute(FAULTS).fetchall()
    # a raw row that is gone is missed by its day of receipt, and by the day of its event unless no mart counts it
    assert (found_table, found_term, more) == (table, term, [])
    assert day in {None, found_day}


@pytest.mark.parametrize("name", sorted(NO_FAULTS))
def test_what_is_explained_is_no_fault(undone: duckdb.DuckDBPyConnection, name: str) -> None:
    undone.execute(NO_FAULTS[name])
    assert undone.execute(FAULTS).fetchall() == []


def test_check_fails_where_an_equation_does(make_models: Callable[[], Models], built: Models) -> None:
    models = make_models()
    models.warehouse_path.write_bytes(built.warehouse_path.read_bytes())
    checks = [CHECK, "assert_people_and_bots_make_all_events", "assert_bot_traffic_counts_every_event_of_bots"]
    assert messages(models.dbt("test", "--select", *checks, reporting_timezone=BERLIN)) == {}
    models.execute(f"UPDATE meta.conservation SET broken_term = '{RAW}', is_conserved = false WHERE day = '{DAY}'")
    assert messages(models.dbt("test", "--select", CHECK)) == {CHECK: "fail: Got 3 results, configured to fail if != 0"}


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM raw.tracking_documents WHERE is_bot",
        "INSERT INTO raw.tracking_documents FROM raw.tracking_documents LIMIT 1",
    ],
)
def test_rows_nobody_counted_are_missed_too(make_models: Callable[[], Models], built: Models, statement: str) -> None:
    models = make_models()
    models.warehouse_path.write_bytes(built.warehouse_path.read_bytes())
    models.execute("DELETE FROM raw.intake_counts")
    again = (
        "build",
        "--exclude-resource-type",
        "unit_test",
        "--select",
        "conservation",
        "stg_intake_counts",
        DAY_CHECK,
    )
    assert DAY_CHECK not in messages(models.dbt(*again, reporting_timezone=BERLIN))
    models.execute(statement)
    found = messages(models.dbt(*again, reporting_timezone=BERLIN))
    assert found == {DAY_CHECK: "fail: Got 1 result, configured to fail if != 0"}


def test_days_of_receipt_follow_hot_rows_and_manifest() -> None:
    line = '{{"table_name":"tracking_events","received_date":"2024-03-01","row_count":{},"hash":"{}"{}}}'
    lines = [line.format(9, "a", ""), line.format(4, "b", ""), line.format(7, "c", ',"replaces":"a"')]
    with duckdb.connect() as warehouse:
        warehouse.execute("CREATE SCHEMA meta; CREATE SCHEMA raw; CREATE SCHEMA sources; SET TimeZone = 'Asia/Tokyo'")
        warehouse.execute("CREATE TABLE meta.sealed_files (manifest_line VARCHAR)")
        warehouse.executemany("INSERT INTO meta.sealed_files VALUES (?)", [[text] for text in lines])
        for table in MARKED:
            warehouse.execute(f"CREATE TABLE raw.{table} (received_at TIMESTAMPTZ)")
        warehouse.execute("""
            INSERT INTO raw.tracking_events VALUES ('2024-03-01 23:59:59Z'), ('2024-03-02 00:00:00Z')
        """)
        make_received_days_view(warehouse)
        found = warehouse.execute("FROM sources.received_days ORDER BY ALL").fetchall()
    assert found == [
        ("tracking_events", date(2024, 3, 1), 12, 2),
        ("tracking_events", date(2024, 3, 2), 1, 0),
    ]


def all_of(models: Models, mart: str) -> Rows:
    return models.rows(f"SELECT * FROM marts.{mart} ORDER BY ALL")
