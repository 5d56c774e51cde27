"""What only refreshes see, over a week of them: versions of subscriptions, plans per day, who was live.

Each day subscriptions are bought, changed, rewritten, deleted and brought back; then a refresh at 20:00. One refresh
is a full rebuild, and before the last one the warehouse is deleted and comes back from the published file.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import psycopg
import pytest

from tests.sql.conftest import Models, Rows
from tests.sql.moments import TICK
from tests.sql.rows import insert
from tests.sql.seed_sql import in_order
from warehouse.builds import begin_build, finish_build
from warehouse.observed import take_over_observed
from warehouse.publish import publish

FIRST_REFRESH = datetime(2024, 2, 26, 20, tzinfo=UTC)
DAYS = 6
FULL_REBUILD, RECOVERY = 3, 5
# what makes a version
CONTENT = ("organization_id", "plan", "duration", "status", "started_at", "ends_at")
KEPT = f"subscription_id, {', '.join(CONTENT)}"
IN_POSTGRES = "id, org_id, plan, duration, status, started_at, ends_at"
SCHOOLS = (UUID(int=1 << 100), UUID(int=2 << 100))
CASES = ("write", "correct", "correct", "correct", "rewrite", "delete", "leave", "leave", "stamp_before")
MODELS = ("--select", "+rpt_plan_distribution_daily", "+rpt_live_users")
AT_THE_END_OF_THE_DAY = """
    SELECT plan, count(*) FROM subscriptions WHERE status = 'active' AND ends_at > %s GROUP BY plan
"""


@dataclass
class Week:
    """What the tests' own books say, beside what the models made."""

    models: Models
    versions: list[tuple[Any, ...]] = field(default_factory=list)
    plans: list[tuple[Any, ...]] = field(default_factory=list)
    refreshes: list[datetime] = field(default_factory=list)
    before_recovery: dict[str, Rows] = field(default_factory=dict)
    after_recovery: dict[str, Rows] = field(default_factory=dict)


@pytest.fixture(scope="module")
def week(make_models: Callable[[], Models], module_database: psycopg.Connection) -> Week:
    week, school = Week(make_models()), School(module_database)
    for day in range(DAYS):
        now = FIRST_REFRESH + timedelta(days=day)
        school.live_through(now)
        if day == RECOVERY:
            _lose_the_warehouse(week)
        week.models.copy_raw(module_database)
        full = ["--full-refresh"] if day == FULL_REBUILD else []
        week.models.build(*MODELS, *full, as_of=now.isoformat())
        week.refreshes.append(now)
        end = now.replace(hour=0) + timedelta(days=1) - TICK if day < DAYS - 1 else now
        week.plans += [(now.date(), *row) for row in module_database.execute(AT_THE_END_OF_THE_DAY, [end])]
    week.versions = school.versions
    return week


class School:
    """Thirty subscriptions in Postgres that change at random, and the books of it: one line a version."""

    def __init__(self, database: psycopg.Connection) -> None:
        self.database, self.chance = database, random.Random(7)
        self.ids = [UUID(int=number) for number in range(1, 31)]
        self.versions: list[tuple[Any, ...]] = []
        self.open: dict[UUID, tuple[Any, ...]] = {}
        self.gone: dict[UUID, tuple[Any, ...]] = {}

    def live_through(self, refresh: datetime) -> None:
        """Change about half of them in the hours before the refresh."""
        for subscription in self.ids:
            written_at = refresh - timedelta(minutes=self.chance.randrange(1, 1_000))
            match self.chance.choice(CASES):
                case "correct" if subscription in self.open:
                    self._write(subscription, self._corrected(subscription, written_at), written_at, written_at)
                case "write" | "correct":
                    self._write(subscription, self._drawn(written_at), written_at, written_at)
                case "stamp_before" if subscription in self.open:
                    # an app whose clock stands still: the change is noticed all the same, by the refresh
                    self._write(subscription, self._drawn(refresh), FIRST_REFRESH - timedelta(days=9), refresh)
                case "leave" if subscription in self.gone:
                    # the very same as before it was deleted
                    self._write(subscription, self.gone[subscription], written_at, written_at)
                case "rewrite" if subscription in self.open:
                    self.database.execute(
                        "UPDATE subscriptions SET updated_at = %s WHERE id = %s", [written_at, subscription]
                    )
                case "delete" if subscription in self.open:
                    self.database.execute("DELETE FROM subscriptions WHERE id = %s", [subscription])
                    self.gone[subscription] = self._content(subscription)
                    self._close(subscription, refresh)
        self.database.execute("TRUNCATE tracking_live_sessions")
        live = {"user_type": "student", "app_name": "DViz", "last_heartbeat": refresh - timedelta(minutes=5)}
        insert(
            self.database,
            "tracking_live_sessions",
            [{**live, "session_id": f"s{user}", "user_id": user} for user in range(refresh.day)],
        )

    def _drawn(self, written_at: datetime) -> tuple[Any, ...]:
        return (
            self.chance.choice([None, *SCHOOLS]),
            self.chance.choice(["free", "pro", None]),
            self.chance.choice(["monthly", "yearly", None]),
            self.chance.choice(["active", "active", "active", "cancelled"]),
            FIRST_REFRESH - timedelta(days=self.chance.choice([30, 60])),
            written_at + timedelta(days=self.chance.choice([0, 1, 2, 40])),
        )

    def _corrected(self, subscription: UUID, written_at: datetime) -> tuple[Any, ...]:
        """Draw one column anew, so that each is at times the only one that differs."""
        content, column = self._content(subscription), self.chance.randrange(len(CONTENT))
        drawn = content
        while drawn[column] == content[column]:
            drawn = self._drawn(written_at)
        return (*content[:column], drawn[column], *content[column + 1 :])

    def _content(self, subscription: UUID) -> tuple[Any, ...]:
        return self.open.get(subscription, ())[1:-1]

    def _write(self, subscription: UUID, content: tuple[Any, ...], updated_at: datetime, valid_from: datetime) -> None:
        self.gone.pop(subscription, None)
        self.database.execute(
            """
            INSERT INTO subscriptions (id, org_id, plan, duration, status, started_at, ends_at, updated_at)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
            ON CONFLICT (id) DO UPDATE SET
                (org_id, plan, duration, status, started_at, ends_at, updated_at)
                = (
                    excluded.org_id, excluded.plan, excluded.duration, excluded.status, excluded.started_at,
                    excluded.ends_at, excluded.updated_at
                )
        """,
            [subscription, *content, updated_at],
        )
        if self._content(subscription) == content:
            return
        self._close(subscription, valid_from)
        self.open[subscription] = (subscription, *content, valid_from)
        self.versions.append((*self.open[subscription], None))

    def _close(self, subscription: UUID, valid_to: datetime) -> None:
        if version := self.open.pop(subscription, None):
            self.versions[self.versions.index((*version, None))] = (*version, valid_to)


def test_every_version_is_kept_with_its_time(week: Week) -> None:
    found = week.models.rows(f"SELECT {KEPT}, valid_from, valid_to FROM marts.dim_subscriptions")
    assert len(found) > 60
    assert in_order(found) == in_order(week.versions)


@pytest.mark.parametrize("column", CONTENT)
def test_history_has_versions_that_differ_in_one_column(week: Week, column: str) -> None:
    place = CONTENT.index(column)
    versions: dict[UUID, list[tuple[Any, ...]]] = {}
    for subscription, *content, _, _ in week.versions:
        versions.setdefault(subscription, []).append(tuple(content))
    pairs = [pair for contents in versions.values() for pair in pairwise(contents)]
    assert [
        pair
        for pair in pairs
        if [old != new for old, new in zip(*pair, strict=True)].count(True) == 1 and pair[0][place] != pair[1][place]
    ]


def test_current_versions_are_what_postgres_has(week: Week, module_database: psycopg.Connection) -> None:
    current = week.models.rows(f"SELECT {KEPT} FROM marts.dim_subscriptions WHERE is_current")
    assert in_order(current) == in_order(
        module_database.execute(f"SELECT {IN_POSTGRES} FROM subscriptions".encode()).fetchall()
    )


def test_versions_have_gaps_only_where_subscription_was_gone(week: Week) -> None:
    pairs = week.models.rows("""
        SELECT valid_to, lead(valid_from) OVER (PARTITION BY subscription_id ORDER BY valid_from) AS next_from
        FROM marts.dim_subscriptions QUALIFY next_from IS NOT NULL
    """)
    assert [pair for pair in pairs if pair[1] < pair[0]] == []
    gaps = [valid_to for valid_to, next_from in pairs if next_from > valid_to]
    assert gaps
    assert set(gaps) <= set(week.refreshes)


def test_plans_of_each_day_are_counted_at_its_end(week: Week) -> None:
    found = week.models.rows(f"""
        SELECT snapshot_date, plan, subscription_count FROM marts.rpt_plan_distribution_daily
        WHERE snapshot_date >= '{FIRST_REFRESH.date()}'
    """)
    assert in_order(found) == in_order(week.plans)


def test_each_refresh_is_one_observation(week: Week) -> None:
    found = week.models.rows("SELECT observed_at, live_user_count FROM marts.rpt_live_users ORDER BY ALL")
    assert found == [(at, at.day) for at in week.refreshes]


def test_deleted_warehouse_gets_its_histories_back(week: Week) -> None:
    assert all(week.before_recovery.values())
    assert week.after_recovery == week.before_recovery


def test_history_holds_to_its_checks(week: Week) -> None:
    result = week.models.dbt("test", "--select", "dim_subscriptions", "int_subscription_versions", "rpt_live_users")
    assert result.success, result.exception


def _lose_the_warehouse(week: Week) -> None:
    path = week.models.warehouse_path
    week.before_recovery = _histories(week.models)
    begin_build(path, "a build")
    finish_build(path, "a build")
    publish(path, path.with_name("analytics.duckdb"))
    path.unlink()
    taken = take_over_observed(path, path.with_name("analytics.duckdb"))
    assert taken == ["rpt_live_users", "dim_subscriptions"]
    week.after_recovery = _histories(week.models)


def _histories(models: Models) -> dict[str, Rows]:
    tables = ("intermediate.int_subscription_versions", "marts.rpt_live_users")
    return {table: models.rows(f"SELECT * FROM {table} ORDER BY ALL") for table in tables}
