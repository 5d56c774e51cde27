"""Each mart against the seed's own SQL, run on Postgres over the same rows: equal to the last digit."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import psycopg
import pytest

from tests.sql import rows
from tests.sql.conftest import Models, Rows

ORACLE = {path.stem: path.read_text() for path in (Path(__file__).parent / "oracle").glob("*.sql")}


@pytest.fixture(scope="module")
def filled_database(module_database: psycopg.Connection) -> psycopg.Connection:
    rows.insert_all(module_database)
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
    expected = _oracle(filled_database, mart, timezone, rows.AS_OF)
    assert len(expected) > 3
    assert _sorted(built.rows(f"SELECT * FROM marts.{mart}")) == _sorted(expected)


def test_marts_of_no_rows_are_empty(make_models: Callable[[], Models], database: psycopg.Connection) -> None:
    models = make_models()
    models.copy_raw(database)
    models.build()
    counts = {mart: models.rows(f"SELECT count(*) FROM marts.{mart}") for mart in ORACLE}
    assert counts == {mart: [(0,)] for mart in ORACLE}


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


def _oracle(database: psycopg.Connection, mart: str, timezone: str, as_of: datetime) -> Rows:
    return database.execute(ORACLE[mart], {"timezone": timezone, "as_of": as_of}).fetchall()


def _sorted(found: Rows) -> Rows:
    return sorted(found, key=repr)
