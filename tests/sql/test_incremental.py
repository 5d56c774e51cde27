"""Days that new rows touch are built anew, whole, and no others: after every refresh as if all had been built."""

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import psycopg
import pytest

from tests.sql import histories
from tests.sql.conftest import Models, Rows
from tests.sql.refreshing import Refreshed
from warehouse.archive.seal import seal
from warehouse.connection import open_warehouse, transaction
from warehouse.touched import touch_days

# of each table: its day or month, and a column of which no value is negative
COUNTED = {
    "intermediate.int_dated_events": ("event_date", "event_count"),
    "intermediate.int_document_user_days": ("open_date", "open_count"),
    "intermediate.int_session_days": ("event_date", "event_count"),
    "intermediate.int_user_days": ("event_date", "event_count"),
    "marts.rpt_activity_by_day": ("activity_date", "login_count"),
    "marts.rpt_app_usage_daily": ("event_date", "user_count"),
    "marts.rpt_app_usage_monthly": ("month", "user_count"),
    "marts.rpt_bot_traffic_daily": ("event_date", "event_count"),
    "marts.rpt_daily_activity": ("activity_date", "login_count"),
    "marts.rpt_document_opens_daily": ("open_date", "open_count"),
    "marts.rpt_event_usage_daily": ("event_date", "event_count"),
    "marts.rpt_points_daily": ("log_date", "earning_user_count"),
}
ALL_TIME = ["marts.rpt_document_opens", "marts.rpt_monthly_logins"]
A_DAY = datetime(2024, 2, 29, 12, tzinfo=UTC)


@pytest.fixture
def world(make_models: Callable[[], Models], database_url: str, database: psycopg.Connection) -> Refreshed:
    """A home of its own, and a Postgres in which a day that has ended may get rows."""
    histories.make_partitions(database)
    return Refreshed(make_models(), database_url)


@pytest.fixture
def refreshed(world: Refreshed, database: psycopg.Connection) -> Refreshed:
    """The same, refreshed with rows on many days."""
    chance = random.Random(0)
    for _ in range(6):
        histories.insert_rows(database, chance, 20)
    world.refresh(command="run")
    return world


def test_only_touched_days_are_rebuilt(refreshed: Refreshed, database: psycopg.Connection) -> None:
    poison(refreshed)
    refreshed.refresh(command="run")
    assert healed(refreshed) == {table: set() for table in COUNTED}
    histories.insert_rows(database, random.Random(1), 40, created_at=A_DAY)
    refreshed.refresh(command="run")
    assert healed(refreshed) == {table: {period(table, A_DAY.date())} for table in COUNTED}


def test_chosen_days_are_rebuilt_without_new_rows(refreshed: Refreshed) -> None:
    day = A_DAY.date()
    had = {table: periods(refreshed, ">= 0")[table] & {period(table, day)} for table in COUNTED}
    poison(refreshed)
    with open_warehouse(refreshed.models.warehouse_path) as warehouse, transaction(warehouse):
        touch_days(warehouse, day, day)
    refreshed.refresh(command="run")
    assert healed(refreshed) == had
    assert had["marts.rpt_event_usage_daily"] == {day}


def test_late_row_rebuilds_its_sealed_day(world: Refreshed, database: psycopg.Connection) -> None:
    chance = random.Random(2)
    histories.insert_rows(database, chance, 40, created_at=A_DAY, received_at=f"{histories.ENDED_DAY} 12:00Z")
    histories.insert_rows(database, chance, 40, created_at=A_DAY.replace(day=28))
    world.refresh(command="run")
    seal(world.database_url, world.models.warehouse_path)
    assert world.models.rows("SELECT count(*) FROM raw.tracking_events WHERE created_at > '2024-02-29'") == [(0,)]
    before = events_of(world, A_DAY.date())
    histories.insert_rows(database, chance, 10, created_at=A_DAY, is_bot=False)
    poison(world)
    world.refresh(command="run")
    assert events_of(world, A_DAY.date()) == [(before[0][0] + 10,)]
    assert healed(world)["marts.rpt_event_usage_daily"] == {A_DAY.date()}


@pytest.mark.parametrize(
    ("timezone", "moment", "day"),
    [
        ("Europe/Berlin", "2024-03-30 22:59:59.999999Z", date(2024, 3, 30)),
        ("Europe/Berlin", "2024-03-30 23:00:00Z", date(2024, 3, 31)),
        ("Europe/Berlin", "2024-10-27 22:59:59.999999Z", date(2024, 10, 27)),
        # the clocks go back at one o'clock to midnight, which they show twice
        ("America/Havana", "2024-11-03 04:30:00Z", date(2024, 11, 3)),
        ("America/Havana", "2024-11-03 03:59:59Z", date(2024, 11, 2)),
        # midnight is left out
        ("Africa/Cairo", "2024-04-25 22:00:00Z", date(2024, 4, 26)),
        ("Asia/Kathmandu", "2024-03-01 18:14:59Z", date(2024, 3, 1)),
    ],
)
def test_day_begins_and_ends_where_its_zone_says(
    make_models: Callable[[], Models], timezone: str, moment: str, day: date
) -> None:
    models = make_models()
    models.execute("CREATE SCHEMA meta; CREATE TABLE meta.touched (table_name VARCHAR, quarter_hour TIMESTAMPTZ)")
    slot = f"time_bucket(INTERVAL '15 minutes', TIMESTAMPTZ '{moment}')"
    models.execute(f"INSERT INTO meta.touched SELECT 'tracking_events', {slot}")
    spread = "TIMESTAMPTZ '{}' + to_minutes(step) AS moment FROM range(-3000, 3000) AS steps (step)"
    rows = f"SELECT moment, CAST(moment AT TIME ZONE '{timezone}' AS DATE) AS day"
    models.execute(f"CREATE TABLE moments AS {rows} FROM (SELECT {spread.format(moment)})")
    config = "{{ config(meta={'touched': {'tables': ['tracking_events']}}) }}"
    query = models.compile(config + "{{ touched_rows('moments', 'day', 'moment') }}", reporting_timezone=timezone)
    assert "moment >=" in query
    assert in_order(models.rows(query)) == in_order(models.rows(f"FROM moments WHERE day = DATE '{day}'"))


# gaps of 2, 2, 3, 4, … 21 days
FAR_APART = [0, 2, *(4 + step * (step + 5) // 2 for step in range(20))]


@pytest.mark.parametrize(
    ("days", "runs"),
    [
        ([], []),
        ([0, 1, 2, 9], [[0, 2], [9, 9]]),
        (FAR_APART, [[0, 4], *([day, day] for day in FAR_APART[3:])]),
        (list(range(0, 1000, 2)), [[0, 998]]),
    ],
    ids=["none", "near and far", "more than twenty", "every second day"],
)
def test_days_are_built_in_twenty_runs_at_most(
    make_models: Callable[[], Models], days: list[int], runs: list[list[int]]
) -> None:
    models = make_models()
    models.execute("CREATE SCHEMA meta; CREATE TABLE meta.touched (table_name VARCHAR, quarter_hour TIMESTAMPTZ)")
    first_day = date(2024, 1, 1)
    rows = [f"('events', '{first_day + timedelta(day)} 12:00Z')" for day in days]
    models.execute(f"INSERT INTO meta.touched VALUES {', '.join(rows)}" if rows else "SELECT 1")
    query = models.compile(
        "{{ config(meta={'touched': {'tables': ['events']}}) }}"
        "{% for run in touched_runs() or [] %}{{ run | join(' ') }}{{ '\n' }}{% endfor %}"
    )
    found = [[(date.fromisoformat(day) - first_day).days for day in line.split()] for line in query.splitlines()]
    assert [run for run in found if run] == runs


def test_good_build_makes_up_for_a_failed_one(refreshed: Refreshed, database: psycopg.Connection) -> None:
    histories.insert_rows(database, random.Random(3), 10)
    refreshed.load()
    refreshed.models.execute("ALTER TABLE marts.rpt_app_usage_daily RENAME user_count TO users")
    assert set(refreshed.build(command="run")) >= {"rpt_app_usage_daily", "rpt_app_usage_monthly"}
    refreshed.models.execute("ALTER TABLE marts.rpt_app_usage_daily RENAME users TO user_count")
    histories.insert_rows(database, random.Random(4), 10)
    refreshed.refresh(command="run")
    assert_equals_full_rebuild(refreshed)


def test_changed_models_rebuild_every_day(refreshed: Refreshed) -> None:
    poison(refreshed)
    refreshed.models.execute("ALTER TABLE marts.rpt_app_usage_daily RENAME user_count TO users")
    refreshed.refresh(command="run", models_version="2")
    assert poisoned(refreshed) == {table: set() for table in COUNTED}


def test_every_table_of_days_is_watched(world: Refreshed) -> None:
    nodes = world.models.manifest.nodes.values()
    by_day = {
        f"{node.schema}.{node.name}" for node in nodes if node.config.get("incremental_strategy") == "replace_days"
    }
    assert by_day == set(COUNTED)


def assert_equals_full_rebuild(world: Refreshed) -> None:
    tables = [*COUNTED, *ALL_TIME]
    copied = world.copy()
    copied.rebuild()
    assert world.tables(tables) == copied.tables(tables)


def poison(world: Refreshed) -> None:
    """Make every row of every day impossible."""
    for table, (_, column) in COUNTED.items():
        world.models.execute(f"UPDATE {table} SET {column} = -1")


def poisoned(world: Refreshed) -> dict[str, set[object]]:
    return periods(world, "< 0")


def healed(world: Refreshed) -> dict[str, set[object]]:
    return periods(world, ">= 0")


def periods(world: Refreshed, condition: str) -> dict[str, set[object]]:
    return {
        table: {found for (found,) in world.models.rows(f"SELECT {name} FROM {table} WHERE {column} {condition}")}
        for table, (name, column) in COUNTED.items()
    }


def period(table: str, day: date) -> object:
    return f"{day:%Y-%m}" if COUNTED[table][0] == "month" else day


def events_of(world: Refreshed, day: date) -> Rows:
    query = f"SELECT sum(event_count)::BIGINT FROM marts.rpt_event_usage_daily WHERE event_date = DATE '{day}'"
    return world.models.rows(query)


def in_order(rows: Rows) -> Rows:
    return sorted(rows)
