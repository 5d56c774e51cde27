"""Each mart against the seed's own SQL, run on Postgres over the same rows: equal to the last digit."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

import psycopg
import pytest

from tests.sql import rows
from tests.sql.conftest import Models
from tests.sql.seed_sql import ORACLE, in_order, seed_rows
from tests.sql.state_rows import drifted_points

# of marts with a row for each of a few statuses, or for what should not be
FEWEST_ROWS = {"rpt_totals": 1, "rpt_user_status": 3, "rpt_subscription_status": 3, "rpt_ledger_drift": 1}


@pytest.fixture(scope="module")
def filled_database(module_database: psycopg.Connection) -> psycopg.Connection:
    rows.insert_all(module_database)
    rows.insert(module_database, "user_points", drifted_points())
    return module_database


@pytest.fixture(scope="module", params=["UTC", "Europe/Berlin", "America/New_York"])
def timezone(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def built(make_models: Callable[[], Models], filled_database: psycopg.Connection, timezone: str) -> Models:
    models = make_models()
    models.copy_raw(filled_database)
    models.build(reporting_timezone=timezone, as_of=rows.AS_OF.isoformat())
    return models


@pytest.mark.parametrize("mart", sorted(ORACLE))
def test_mart_equals_seed_sql_on_postgres(
    built: Models, filled_database: psycopg.Connection, timezone: str, mart: str
) -> None:
    expected = seed_rows(filled_database, mart, timezone, rows.AS_OF)
    assert len(expected) >= FEWEST_ROWS.get(mart, 4)
    assert in_order(built.rows(f"SELECT * FROM marts.{mart}")) == in_order(expected)


def test_every_mart_has_its_seed_sql(built: Models) -> None:
    marts = built.rows("SELECT table_name FROM duckdb_tables() WHERE schema_name = 'marts'")
    assert {mart for (mart,) in marts} == set(ORACLE)


def test_marts_of_no_rows_are_empty(make_models: Callable[[], Models], database: psycopg.Connection) -> None:
    models = make_models()
    models.copy_raw(database)
    models.build(as_of=rows.AS_OF.isoformat())
    found = {mart: models.rows(f"SELECT * FROM marts.{mart}") for mart in ORACLE}
    assert {mart: len(found[mart]) for mart in ORACLE if found[mart]} == {
        "rpt_totals": 1,
        "rpt_user_status": 3,
        "rpt_subscription_status": 3,
    }
    assert found["rpt_totals"] == [(*[0] * 10, rows.AS_OF)]
    assert in_order(found["rpt_user_status"])[0] == ("active", 0, None)


def test_now_is_the_clocks_unless_fixed(make_models: Callable[[], Models], database: psycopg.Connection) -> None:
    now = datetime.now(UTC)
    hour = timedelta(hours=1)
    ends = [("past", now - hour), ("future", now + hour)]
    rows.insert(database, "subscriptions", [{"plan": p, "status": "active", "ends_at": at} for p, at in ends])
    models = make_models()
    models.copy_raw(database)
    models.build("--select", "+rpt_plan_distribution")
    assert models.rows("SELECT * FROM marts.rpt_plan_distribution") == [("future", 1, Decimal("100.0"))]


def test_day_without_human_events_has_no_row(built: Models, timezone: str) -> None:
    days = built.rows("SELECT activity_date, login_count, app_open_count, action_count FROM marts.rpt_daily_activity")
    assert rows.BOT_DAY.date() not in [day for day, *_ in days]
    assert (rows.SIGNUP_DAY.date(), 0, 0, 0) in days


def test_percent_rounds_every_share_half_up(make_models: Callable[[], Models]) -> None:
    models = make_models()
    shares = "SELECT part, whole, {{ percent('part', 'whole') }} FROM shares"
    query = models.compile(shares)
    wanted = [(part, whole, _percent(part, whole)) for whole in (*range(1, 200), 2000) for part in range(whole + 1)]
    pairs = "SELECT p::bigint AS part, w AS whole FROM range(2001) AS a (w), range(2001) AS b (p)"
    some = "WHERE p <= w AND (w BETWEEN 1 AND 199 OR w = 2000) ORDER BY w, p"
    assert models.rows(f"WITH shares AS ({pairs} {some}) {query}") == wanted


def _percent(part: int, whole: int) -> Decimal:
    return (Decimal(100 * part) / whole).quantize(Decimal("0.1"), ROUND_HALF_UP)
