"""Each value of GET /api/stats against the first seed's SQL, run on Postgres over the same rows."""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from sqlalchemy import Connection, make_url

from admin_app.app import create_app
from admin_app.live import read_live
from admin_app.settings import AdminSettings
from ingest_app.database import make_engine
from ingest_app.keys import create_key
from tests.sql.conftest import Models
from tests.sql.moments import TICK, Row
from tests.sql.seed_stats import LISTS, STATEMENTS, seed_stats
from tests.sql.views import make_views
from tests.sql.worlds import NAMED, STAGES, World, copy_all, replace_all, setting, worlds
from warehouse.aged_rows import AGED_ROWS
from warehouse.publish import publish

ROUNDS = int(os.environ.get("DRILL_ROUNDS", "4"))
SEED = int(os.environ.get("DRILL_SEED", "0"))
# on the first of March of a leap year
STAGE = STAGES["leap_year"]
NOW = STAGE.as_of
LIVE = {"activeUsersNow", "visitorsNow"}
MARTS = (
    *("rpt_totals", "rpt_activity_by_day", "rpt_daily_activity", "rpt_monthly_logins"),
    *("rpt_plan_distribution", "rpt_user_status"),
)
BUILT = """
    CREATE SCHEMA built.meta; CREATE SCHEMA built.marts;
    CREATE TABLE built.meta.builds AS
    SELECT
        'a build' AS build_id, $1::timestamptz AS loaded_at, 'a moment' AS snapshot, now() AS begun_at,
        now() AS passed_at, NULL::VARCHAR AS code_version, NULL::VARCHAR AS models_version, NULL::VARCHAR[] AS models
"""
Value = dict[str, Any]


@dataclass(frozen=True)
class Site:
    """A Postgres, a warehouse of views that show whatever is loaded, and the app that shows what is published."""

    database: psycopg.Connection
    models: Models
    ask: Callable[[], Value]

    def stats(self, world: World) -> Value:
        """Make this the world, publish it, and ask."""
        replace_all(self.database, world)
        return self.refreshed()

    def refreshed(self) -> Value:
        """Load, build and publish what is in Postgres, and ask."""
        built = self.models.home / "built.duckdb"
        built.unlink(missing_ok=True)
        with duckdb.connect(str(self.models.warehouse_path)) as connection:
            connection.execute(f"SET TimeZone = 'UTC'; ATTACH '{built}' AS built")
            copy_all(self.database, connection, self.models.home / "rows.csv")
            connection.execute(BUILT, [NOW])
            for mart in MARTS:
                connection.execute(f"CREATE TABLE built.marts.{mart} AS FROM marts.{mart}")
        publish(built, self.models.warehouse_path.with_name("analytics.duckdb"))
        return self.ask()

    def wanted(self) -> Value:
        """Tell what the seed's SQL says of the same rows at the moment of the refresh."""
        return seed_stats(self.database, NOW)


@pytest.fixture(scope="module")
def site(make_models: Callable[[], Models], module_database: psycopg.Connection, server_url: str) -> Iterator[Site]:
    models = make_models()
    models.copy_raw(module_database)
    make_views(models, STAGE.timezone, NOW.isoformat())
    url = make_url(server_url).set(database=module_database.info.dbname).render_as_string(hide_password=False)
    with _transaction(url) as connection:
        key = create_key(connection, "admin")
    app = create_app(AdminSettings(database_url=url, footfall_secret="a test's secret", footfall_home=models.home))

    def ask() -> Value:
        app.extensions["footfall"].published.await_look()
        response = app.test_client().get("/api/stats", headers={"Authorization": f"Bearer {key}"})
        assert response.status_code == 200, response.text
        found: Value = json.loads(response.data, parse_float=Decimal)
        return found

    yield Site(module_database, models, ask)
    app.extensions["footfall"].close()


def test_answer_is_the_seeds_names(site: Site) -> None:
    assert set(site.stats({})) == {*STATEMENTS, "asOf", "stale"}


@pytest.mark.parametrize("name", ["nothing", *sorted(set(NAMED) - {"nothing"})])
def test_stats_of_known_world_equal_seed_sql(site: Site, name: str) -> None:
    _assert_equal(site.stats(NAMED[name](STAGE)), site)


@seed(SEED)
@settings(
    max_examples=ROUNDS,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(world=worlds(STAGE))
def test_stats_of_any_world_equal_seed_sql(site: Site, world: World) -> None:
    _assert_equal(site.stats(world), site)


def test_stats_of_days_and_months_begin_at_midnight(site: Site) -> None:
    midnights = [_utc(2023, 9, 1), _utc(2023, 10, 1), _utc(2024, 2, 24), _utc(2024, 3, 1), _utc(2024, 3, 2)]
    moments = [midnight + step for midnight in midnights for step in (-TICK, timedelta(), TICK)]
    # of no two kinds as many
    kinds = ("login", *["signup"] * 2, *["app_open"] * 3, *["action"] * 4)
    found = site.stats({"activity_events": [_event(kind, at) for at in moments for kind in kinds]})
    _assert_equal(found, site)
    days = [f"2024-02-{day}" for day in range(24, 30)] + ["2024-03-01"]
    assert [day["date"] for day in found["activityByDay"]] == [day["date"] for day in found["dailyActivity"]] == days
    # those of the microsecond before the window are not in it, and days without any are
    assert [day["logins"] for day in found["activityByDay"]] == [2, 0, 0, 0, 0, 1, 3]
    assert [(month["month"], month["logins"]) for month in found["monthlyLogins"]] == [
        ("2023-10", 2), ("2023-11", 0), ("2023-12", 0), ("2024-01", 0), ("2024-02", 4), ("2024-03", 5)
    ]  # fmt: skip


def test_percentages_round_half_up_to_one_decimal(site: Site) -> None:
    # of sixteen one is 6.25 percent and three are 18.75; of two thousand one is 0.05
    accounts = [UUID(int=number) for number in range(1, 17)]
    expired, held = UUID(int=100), {"status": "active", "ends_at": NOW + timedelta(days=1), "updated_at": NOW}
    plans = [*["pro"] * 1999, "free"]
    found = site.stats(
        {
            "accounts": [{"id": number, "org_id": expired if number.int in (2, 3, 4) else None} for number in accounts],
            "user_heartbeats": [{"user_id": accounts[0], "last_seen_at": NOW}],
            "subscriptions": [
                *({**held, "org_id": None, "plan": plan} for plan in plans),
                {**held, "org_id": expired, "plan": "team", "ends_at": NOW},
            ],
        }
    )
    _assert_equal(found, site)
    assert [str(share) for share in found["usersStatusPercentage"].values()] == ["6.3", "18.8", "75.0"]
    assert [str(share["percentage"]) for share in found["plansPercentage"]] == ["100.0", "0.1"]


def test_nothing_at_all_is_zeros_of_every_type(site: Site) -> None:
    found = site.stats({})
    _assert_equal(found, site)
    assert [found[name] for name in ("planDistribution", "plansPercentage")] == [[], []]
    assert (len(found["activityByDay"]), len(found["dailyActivity"]), len(found["monthlyLogins"])) == (7, 7, 6)
    assert set(map(str, found["usersStatusPercentage"].values())) == {"0.0"}


@pytest.mark.parametrize("minutes", ["1", "60"])
def test_stats_follow_the_window_that_is_set(site: Site, minutes: str) -> None:
    moments = [NOW - timedelta(minutes=int(minutes)) + step for step in (-TICK, timedelta(), TICK)]
    world = _people(moments) | {"admin_settings": setting(minutes)}
    found = site.stats(world)
    _assert_equal(found, site)
    assert (found["inactiveUsers"], found["totalUsers"]) == (2, 3)


def test_forgotten_visitors_stay_in_the_total(site: Site) -> None:
    found = site.stats(_people([NOW - timedelta(days=days) for days in (0, 1, 200, 500)]))
    wanted = site.wanted()
    removed = AGED_ROWS["visitor_sessions"].remove(site.database, NOW - timedelta(days=100), dry_run=False).removed
    forgotten = site.database.execute("SELECT first_seen_at, last_seen_at, visitor_count FROM forgotten_visitors")
    with duckdb.connect(str(site.models.warehouse_path)) as connection:
        connection.executemany(
            "INSERT INTO raw.forgotten_visitors (first_seen_at, last_seen_at, visitor_count) VALUES (?, ?, ?)",
            forgotten.fetchall(),
        )
    after = site.refreshed()
    assert (removed, site.wanted()["totalVisitors"]) == (2, 2)
    assert found["totalVisitors"] == after["totalVisitors"] == wanted["totalVisitors"] == 4
    site.models.execute("DELETE FROM raw.forgotten_visitors")


@pytest.mark.parametrize("minutes", [None, "1", "60"])
def test_now_ends_exactly_where_the_seed_says(database_url: str, minutes: str | None) -> None:
    """Each moment is of the transaction that asks, so that the window's very end can be told."""
    with _transaction(database_url) as connection:
        postgres: psycopg.Connection = connection.connection.driver_connection  # type: ignore[assignment]
        [(now,)] = postgres.execute("SELECT now()").fetchall()
        begin = now - timedelta(minutes=int(minutes or 5))
        world = _people([begin - TICK, begin, begin + TICK, now]) | {"admin_settings": setting(minutes or "5")}
        if minutes is None:
            world.pop("admin_settings")
        replace_all(postgres, world)
        found, wanted = read_live(connection), seed_stats(postgres, now)
    assert found.as_of == now
    assert {"activeUsersNow": found.active_users_now, "visitorsNow": found.visitors_now} == {
        name: wanted[name] for name in LIVE
    }
    assert wanted["visitorsNow"] == 2


def _assert_equal(found: Value, site: Site) -> None:
    wanted = site.wanted() | {"asOf": found["asOf"], "stale": True}
    # those are of the moment at which Postgres was asked
    wanted |= {name: seed_stats(site.database, datetime.fromisoformat(found["asOf"]["live"]))[name] for name in LIVE}
    assert {name: (value, wanted[name]) for name, value in found.items() if value != wanted[name]} == {}
    assert [type(found[name]) for name in STATEMENTS if name not in {*LISTS, "usersStatusPercentage"}] == [int] * 10
    shares = [share["percentage"] for share in found["plansPercentage"]]
    assert {share.as_tuple().exponent for share in (*shares, *found["usersStatusPercentage"].values())} == {-1}
    counted = ("activityByDay", "monthlyLogins", "dailyActivity", "planDistribution")
    kinds = {type(value) for name in counted for row in found[name] for key, value in row.items() if key != "plan"}
    assert kinds == {int, str}


def _people(moments: list[datetime]) -> World:
    ids = [UUID(int=number) for number, _ in enumerate(moments, 1)]
    return {
        "accounts": [{"id": number} for number in ids],
        "user_heartbeats": [{"user_id": number, "last_seen_at": at} for number, at in zip(ids, moments, strict=True)],
        "visitor_sessions": [
            {"session_id": str(number), "first_seen_at": at, "last_seen_at": at}
            for number, at in zip(ids, moments, strict=True)
        ],
    }


def _event(kind: str, at: datetime) -> Row:
    return {"event_type": kind, "created_at": at, "is_bot": False}


def _utc(*date: int) -> datetime:
    return datetime.fromisoformat("{}-{:02}-{:02}T00:00:00Z".format(*date))


@contextmanager
def _transaction(database_url: str) -> Iterator[Connection]:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        yield connection
    engine.dispose()
