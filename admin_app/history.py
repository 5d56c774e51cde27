"""What the stats need of the published file, read once for each file: a request runs no query.

The names are the first seed's, in snake case here and in camel case in JSON. How the numbers come about stands in
`transforms/`; those of now are here too, as of the file, for as long as Postgres was never reached.
"""

import logging
from datetime import UTC, date
from typing import TYPE_CHECKING, Annotated

import duckdb
from msgspec import Meta, Struct

from admin_app.queries import history_query

if TYPE_CHECKING:
    from admin_app.published import PublishedFile

log = logging.getLogger(__name__)

Count = Annotated[int, Meta(ge=0)]
Percentage = Annotated[float, Meta(ge=0, le=100, description="With one decimal, half up")]
Month = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}$")]


class DayActivity(Struct, frozen=True, forbid_unknown_fields=True):
    """A day (UTC) of `activityByDay`."""

    date: date
    logins: Count
    signups: Count


class DailyActivity(Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """A day (UTC) of `dailyActivity`."""

    date: date
    logins: Count
    app_opens: Count
    actions: Count


class MonthLogins(Struct, frozen=True, forbid_unknown_fields=True):
    """A month (UTC) of `monthlyLogins`."""

    month: Month
    logins: Count


class PlanCount(Struct, frozen=True, forbid_unknown_fields=True):
    """How many active subscriptions a plan has; null are those without a plan."""

    plan: str | None
    count: Count


class PlanShare(Struct, frozen=True, forbid_unknown_fields=True):
    """What share of all active subscriptions a plan has."""

    plan: str | None
    percentage: Percentage


class StatusShares(Struct, frozen=True, forbid_unknown_fields=True):
    """What share of all accounts is active now, expired, or neither; each 0 where there is no account."""

    active: Percentage = 0.0
    expired: Percentage = 0.0
    inactive: Percentage = 0.0


class History(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The values of one published file; null is what it does not tell. Days and months are of UTC, none left out."""

    total_users: Count | None = None
    active_users_now: Count | None = None
    expired_users: Count | None = None
    inactive_users: Count | None = None
    active_subscriptions: Count | None = None
    expired_subscriptions: Count | None = None
    cancelled_subscriptions: Count | None = None
    total_visitors: Count | None = None
    visitors_now: Count | None = None
    visitors_today: Count | None = None
    activity_by_day: tuple[DayActivity, ...] | None = None
    monthly_logins: tuple[MonthLogins, ...] | None = None
    daily_activity: tuple[DailyActivity, ...] | None = None
    plan_distribution: tuple[PlanCount, ...] | None = None
    plans_percentage: tuple[PlanShare, ...] | None = None
    users_status_percentage: StatusShares | None = None


def read_history(file: "PublishedFile") -> History:
    """Read them; days and months end with the one that the file is as of. Raises duckdb.Error.

    A file of another footfall may lack a table: the stats are empty then, and what else the file has can be read.
    """
    try:
        return _read(file)
    except duckdb.CatalogException as error:
        log.error("the published file has no stats", extra={"reason": str(error).splitlines()[0]})
        return History()


def _read(file: "PublishedFile") -> History:
    today = {"today": file.loaded_at.astimezone(UTC).date()}
    totals = file.rows(history_query("totals"))
    plans = file.rows(history_query("plans")).rows
    shares = {status: float(percent) for status, percent in file.rows(history_query("users_status")).rows}
    return History(
        **dict(zip(totals.columns, totals.rows[0], strict=True)),
        activity_by_day=tuple(DayActivity(*row) for row in file.rows(history_query("activity_by_day"), today).rows),
        monthly_logins=tuple(MonthLogins(*row) for row in file.rows(history_query("monthly_logins"), today).rows),
        daily_activity=tuple(DailyActivity(*row) for row in file.rows(history_query("daily_activity"), today).rows),
        plan_distribution=tuple(PlanCount(plan, count) for plan, count, _ in plans),
        plans_percentage=tuple(PlanShare(plan, float(percent)) for plan, _, percent in plans),
        users_status_percentage=StatusShares(**shares),
    )
