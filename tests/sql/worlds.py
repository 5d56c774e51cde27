"""Small worlds: a few rows of every table, all at moments where a rule turns. No assertion here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID
from zoneinfo import ZoneInfo

import duckdb
import psycopg
from hypothesis import strategies as st

from tests.sql.moments import TICK, Row
from tests.sql.rows import insert

TIMEOUT = "live_session_timeout_minutes"
PARENTS_FIRST = (
    "admin_settings",
    "organizations",
    "accounts",
    "user_heartbeats",
    "subscriptions",
    "visitor_sessions",
    "tracking_live_sessions",
    "users",
    "activity_events",
    "tracking_events",
    "tracking_documents",
    "user_points",
    "user_point_logs",
    "user_credits",
    "user_credit_logs",
)
World = dict[str, list[Row]]
"""Table to rows; one that is not named has none."""


@dataclass(frozen=True)
class Stage:
    """Where and when a world plays: whose days they are, and when "now" is."""

    timezone: str
    as_of: datetime

    def moments(self, minutes: Sequence[int] = (1, 5, 60)) -> list[datetime]:
        """List now, the ends of windows before it, and midnights around it; each with a microsecond to both sides."""
        here = self.as_of.astimezone(ZoneInfo(self.timezone)).replace(hour=0, minute=0, second=0, microsecond=0)
        midnights = [here + timedelta(days=days) for days in (-31, -1, 0, 1, 2)]
        turning = [self.as_of, *(self.as_of - timedelta(minutes=number) for number in minutes), *midnights]
        return [moment + step for moment in turning for step in (-TICK, timedelta(), TICK)]


STAGES = {
    "leap_year": Stage("UTC", datetime.fromisoformat("2024-03-01T12:00:00Z")),
    # half an hour after clocks went forward, on a day of 23 hours
    "day_of_23_hours": Stage("Europe/Berlin", datetime.fromisoformat("2024-03-31T01:30:00Z")),
    # in the hour that comes twice
    "day_of_25_hours": Stage("America/New_York", datetime.fromisoformat("2024-11-03T05:30:00Z")),
}


def replace_all(database: psycopg.Connection, world: World) -> None:
    """Make the database hold this world and nothing else."""
    for table in reversed(PARENTS_FIRST):
        database.execute(f"DELETE FROM {table}")
    for table in PARENTS_FIRST:
        if rows := world.get(table):
            insert(database, table, rows)


def copy_all(database: psycopg.Connection, warehouse: duckdb.DuckDBPyConnection, scratch: Path) -> None:
    """Make the raw tables, which are there, hold what the database holds."""
    for table in PARENTS_FIRST:
        warehouse.execute(f"DELETE FROM raw.{table}")
        with database.cursor().copy(f"COPY (SELECT * FROM {table}) TO STDOUT (FORMAT csv)") as rows:
            scratch.write_bytes(b"".join(rows))
        if scratch.stat().st_size:
            warehouse.execute(f"COPY raw.{table} FROM '{scratch}' (FORMAT csv)")


def setting(minutes: str) -> list[Row]:
    """Set the window of "now"."""
    return [{"setting_key": TIMEOUT, "setting_value": minutes}]


LIVE = {"user_type": "student", "app_name": "DViz", "country_code": None}


def _nothing(_: Stage) -> World:
    return {}


def _one_account_alone(stage: Stage) -> World:
    return {"accounts": [{"id": UUID(int=1), "org_id": UUID(int=1)}]}


def _heartbeats_around_five_and_thirty_minutes(stage: Stage) -> World:
    moments = stage.moments((5, 30))[3:9]
    return {
        "accounts": [{"id": UUID(int=number)} for number, _ in enumerate(moments)],
        "user_heartbeats": [{"user_id": UUID(int=number), "last_seen_at": at} for number, at in enumerate(moments)],
        "visitor_sessions": _numbered([{"first_seen_at": at, "last_seen_at": at} for at in moments]),
        "tracking_live_sessions": _numbered([{**LIVE, "user_id": 1, "last_heartbeat": at} for at in moments]),
    }


def _sessions_live_in_the_same_microsecond(stage: Stage) -> World:
    begin = stage.as_of - timedelta(minutes=5)
    heartbeats = [begin, begin, begin - TICK]
    rows = [{**LIVE, "user_id": user, "last_heartbeat": at} for user, at in enumerate(heartbeats)]
    return {"tracking_live_sessions": _numbered(rows)}


def _balances_without_logs_and_logs_without_balances(stage: Stage) -> World:
    log = {"created_at": stage.as_of}
    return {
        "user_points": [{"user_id": 1, "points": 7}, {"user_id": 5, "points": 0}],
        "user_credits": [{"user_id": 2, "credits": 7}, {"user_id": 5, "credits": 0}],
        "user_point_logs": [{**log, "user_id": 3, "action": "redeem", "points": 2_147_483_647}] * 3,
        "user_credit_logs": [{**log, "user_id": 4, "credits_added": -3, "points_consumed": 0}],
    }


def _one_organization_with_all_kinds_of_subscriptions(stage: Stage) -> World:
    ends = stage.moments()
    return {
        "accounts": [{"id": UUID(int=1), "org_id": UUID(int=1)}],
        "subscriptions": [
            {"org_id": UUID(int=1), "plan": plan, "status": status, "ends_at": end, "updated_at": ends[-1]}
            for end in ends
            for plan in (None, "pro")
            for status in ("active", "expired", "cancelled")
        ],
    }


def _one_active_status_past_its_end(stage: Stage) -> World:
    held = {"org_id": UUID(int=1), "plan": None, "status": "active"}
    return {
        "accounts": [{"id": UUID(int=1), "org_id": UUID(int=1)}, {"id": UUID(int=2), "org_id": None}],
        "subscriptions": [{**held, "ends_at": stage.as_of, "updated_at": stage.as_of - timedelta(days=40)}],
    }


def _subscriptions_of_the_end_of_time(stage: Stage) -> World:
    far = datetime.fromisoformat("9999-12-31T00:00:00Z")
    held = {"plan": "pro", "status": "active"}
    return {"subscriptions": [{**held, "ends_at": far, "updated_at": far}]}


NAMED: dict[str, Callable[[Stage], World]] = {
    function.__name__.strip("_"): function
    for function in (
        _nothing,
        _one_account_alone,
        _heartbeats_around_five_and_thirty_minutes,
        _sessions_live_in_the_same_microsecond,
        _balances_without_logs_and_logs_without_balances,
        _one_organization_with_all_kinds_of_subscriptions,
        _one_active_status_past_its_end,
        _subscriptions_of_the_end_of_time,
    )
}


@st.composite
def worlds(draw: st.DrawFn, stage: Stage) -> World:
    """Draw a world; nothing in it depends on anything but on what the database requires."""
    times = st.sampled_from(stage.moments())
    organizations = [UUID(int=number) for number in range(1, 1 + draw(st.integers(0, 3)))]
    accounts = [UUID(int=number) for number in range(1, 1 + draw(st.integers(0, 4)))]
    owners = st.sampled_from([None, *organizations])
    seen = draw(st.sets(st.sampled_from(accounts))) if accounts else set()
    minutes = draw(st.sampled_from(["5", "5", "1", "60", None]))
    return {
        "admin_settings": setting(minutes) if minutes else [],
        "organizations": [{"id": number, "name": "A school"} for number in organizations],
        "accounts": [{"id": number, "org_id": draw(owners)} for number in accounts],
        "user_heartbeats": [{"user_id": number, "last_seen_at": draw(times)} for number in sorted(seen)],
        "subscriptions": draw(_rows(org_id=owners, plan=PLANS, status=STATUSES, ends_at=times, updated_at=times)),
        **draw(_people(times)),
        **draw(_events(times)),
        **draw(_ledger(times)),
    }


PLANS = st.sampled_from([None, "free", "pro"])
STATUSES = st.sampled_from(["active", "active", "expired", "cancelled"])
COUNTRIES = st.sampled_from([None, "DE"])
APPS = st.sampled_from(["DViz", "Speech-to-Code"])
TYPES = st.sampled_from(["student", "teacher"])
USERS = st.integers(1, 3)
SOME_USERS = st.none() | USERS
POINTS = st.integers(1, 2_147_483_647)


def _rows(**columns: st.SearchStrategy[object]) -> st.SearchStrategy[list[Row]]:
    return st.lists(st.fixed_dictionaries(columns), max_size=6)


def _numbered(rows: list[Row]) -> list[Row]:
    return [{"session_id": f"s{number}", **row} for number, row in enumerate(rows)]


@st.composite
def _people(draw: st.DrawFn, times: st.SearchStrategy[datetime]) -> World:
    spans = draw(st.lists(st.tuples(times, times).map(sorted), max_size=6))
    live = _rows(user_id=USERS, user_type=TYPES, app_name=APPS, country_code=COUNTRIES, last_heartbeat=times)
    return {
        "visitor_sessions": _numbered([{"first_seen_at": first, "last_seen_at": last} for first, last in spans]),
        "tracking_live_sessions": _numbered(draw(live)),
        "users": [{"id": number, "user_type": "admin"} for number in sorted(draw(st.sets(USERS)))],
    }


@st.composite
def _events(draw: st.DrawFn, times: st.SearchStrategy[datetime]) -> World:
    kinds = st.sampled_from(["login", "signup", "app_open", "action"])
    common = {"created_at": times, "is_bot": st.booleans(), "country_code": COUNTRIES, "user_id": SOME_USERS}
    return {
        "activity_events": draw(_rows(event_type=kinds, created_at=times, is_bot=st.booleans())),
        "tracking_events": draw(
            _rows(
                **common,
                user_type=TYPES,
                app_name=APPS,
                event_type=st.just("visit"),
                event_name=st.just("open"),
                session_id=st.sampled_from([None, "s1", "s2"]),
            )
        ),
        "tracking_documents": draw(
            _rows(
                **common,
                user_type=TYPES,
                level_name=st.just("A1"),
                chapter_name=PLANS.filter(bool),
                document_name=st.just("Hello"),
            )
        ),
    }


@st.composite
def _ledger(draw: st.DrawFn, times: st.SearchStrategy[datetime]) -> World:
    balances = st.dictionaries(USERS, st.integers(0, 2_147_483_647))
    actions = st.sampled_from(["earn", "redeem"])
    spent = st.integers(-5, 5).filter(bool)
    return {
        "user_points": [{"user_id": user, "points": points} for user, points in draw(balances).items()],
        "user_credits": [{"user_id": user, "credits": credits} for user, credits in draw(balances).items()],
        "user_point_logs": draw(_rows(user_id=USERS, action=actions, points=POINTS, created_at=times)),
        "user_credit_logs": draw(
            _rows(user_id=USERS, credits_added=spent, points_consumed=st.just(0), created_at=times)
        ),
    }
