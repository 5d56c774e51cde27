"""All numbers of visitors are the same before and after visitors are forgotten, on every day of every time zone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from tests.sql import rows
from tests.sql.conftest import Models, Rows, messages
from tests.sql.moments import TICK
from tests.sql.seed_sql import in_order, seed_rows
from tests.sql.state_rows import visitor_sessions
from warehouse.aged_rows import AGED_ROWS

MODELS = ("--select", "+rpt_visitors_daily", "+rpt_totals")
TESTS = ("--select", "assert_no_day_has_more_visitors_than_visits", "assert_every_visitor_was_new_once")
VISITORS = "SELECT total_visitors, visitors_now, visitors_today FROM marts.rpt_totals"
DAYS = "SELECT * FROM marts.rpt_visitors_daily"
# after all of the visits
AS_OF = datetime(2024, 12, 10, 12, tzinfo=UTC)
# one whose offset is no whole hour, and one that changes its clock by half an hour
ZONES = ("Asia/Kathmandu", "Australia/Lord_Howe")


@pytest.fixture(scope="module")
def told(make_models: Callable[[], Models], module_database: psycopg.Connection) -> dict[str, list[Rows]]:
    """What the marts say in each zone: before, by the seed's SQL on Postgres, and after."""
    models = make_models()
    rows.insert(module_database, "visitor_sessions", [*visitor_sessions(), *_around_midnights()])
    models.copy_raw(module_database)
    found = {zone: [numbers(models, zone), _by_seed(module_database, zone)] for zone in ZONES}
    # one night and a later one, so that numbers are added to numbers
    nights = [AS_OF - timedelta(days=kept) for kept in (250, 40)]
    removed = [AGED_ROWS["visitor_sessions"].remove(module_database, night, dry_run=False).removed for night in nights]
    assert min(removed) > 20
    models.copy_raw(module_database)
    assert models.rows(f"SELECT count(*) < {sum(removed)} FROM raw.forgotten_visitors") == [(True,)]
    for zone in ZONES:
        found[zone].append(numbers(models, zone))
    assert not messages(models.dbt("test", *TESTS, reporting_timezone=ZONES[-1], as_of=AS_OF.isoformat()))
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_forgetting_changes_no_number_of_any_day(told: dict[str, list[Rows]], zone: str) -> None:
    before, by_seed, after = told[zone]
    assert len(before) > 8
    assert before[1:] == by_seed
    assert after == before


def test_live_history_stays_when_sessions_go(make_models: Callable[[], Models], database: psycopg.Connection) -> None:
    models, now, later = make_models(), datetime.now(UTC), datetime.now(UTC) + timedelta(hours=1)
    live = {"session_id": "s1", "user_id": 1, "user_type": "student", "app_name": "DViz", "last_heartbeat": now}
    rows.insert(database, "tracking_live_sessions", [live])
    for moment in (now, later):
        AGED_ROWS["live_sessions"].remove(database, moment, dry_run=False)
        models.copy_raw(database)
        models.build("--select", "+rpt_live_users", as_of=moment.isoformat())
        assert models.rows("SELECT observed_at, live_user_count FROM marts.rpt_live_users") == [(now, 1)]
    assert models.rows("FROM raw.tracking_live_sessions") == []


def numbers(models: Models, zone: str) -> Rows:
    """Build both marts, and read all that they say of visitors."""
    models.build(*MODELS, reporting_timezone=zone, as_of=AS_OF.isoformat())
    return [*models.rows(VISITORS), *in_order(models.rows(DAYS))]


def _around_midnights() -> list[rows.Row]:
    """Visits just before and at midnight in Kathmandu and, in summer and in winter, on Lord Howe Island."""
    midnights = [datetime(2024, *at, tzinfo=UTC) for at in ((7, 1, 18, 15), (7, 1, 13, 30), (1, 9, 13, 0))]
    spans = [(moment - before, moment) for moment in midnights for before in (TICK, timedelta())]
    return [
        {"session_id": f"midnight{number}", "first_seen_at": first, "last_seen_at": last}
        for number, (first, last) in enumerate(spans)
    ]


def _by_seed(database: psycopg.Connection, zone: str) -> Rows:
    return in_order(seed_rows(database, "rpt_visitors_daily", zone, AS_OF))
