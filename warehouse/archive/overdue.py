"""Whether days are still in Postgres that ought to have left: retention that stopped is an alarm. None leaves here."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from psycopg import sql

from warehouse.archive.detach import fetcher, open_session
from warehouse.archive.fingerprint import day_bounds
from warehouse.archive.retention import (
    Fetch,
    Partition,
    archive_after_days,
    find_partitions,
    is_due,
    today_of,
)
from warehouse.queries import filled_expire_query
from warehouse.retention import GRACE
from warehouse.tables import EVENT_TABLES

RUN = "run `footfall archive expire`, which also says why a day stays, and look at the schedule `expire` in Dagster"
SHOWN_DAYS = 3


@dataclass(frozen=True, slots=True)
class Overdue:
    """A table with days that ought to have left; none by name where rows lie in a partition that is named for no day.

    `since` is the day on which the oldest of them had to leave.
    """

    table_name: str
    days: Sequence[date]
    since: date

    def __str__(self) -> str:
        if not self.days:
            return f"{self.table_name} has rows from before {self.since} in a partition that is not named for its day"
        some = ", ".join(map(str, self.days[:SHOWN_DAYS]))
        more = len(self.days) - SHOWN_DAYS
        named = f"{some} and {more} more days" if more > 0 else some
        return f"{self.table_name} still has {named}, due since {self.since}"


def find_overdue(fetch: Fetch) -> list[Overdue]:
    """Find days that were due two days ago, by the partitions' names and by their rows. Raises SettingUnusable."""
    keep_days, today = archive_after_days(fetch), today_of(fetch)
    partitions = find_partitions(fetch)
    late_days = keep_days + GRACE.days
    found = []
    for table_name in EVENT_TABLES:
        late = [one for one in partitions if one.table_name == table_name and is_due(one.day, today, late_days)]
        if late:
            found.append(_named(late, keep_days))
        elif _has_rows_before(fetch, table_name, oldest := today - timedelta(days=late_days)):
            found.append(Overdue(table_name, (), oldest))
    return found


def overdue_in(database_url: str) -> list[Overdue]:
    """Find them in this database. Raises SettingUnusable, PostgresUnreachable, PostgresQueryFailed."""
    with open_session(database_url, "look for overdue days") as connection:
        return find_overdue(fetcher(connection))


def _named(late: Sequence[Partition], keep_days: int) -> Overdue:
    days = sorted(one.day for one in late)
    return Overdue(late[0].table_name, days, days[0] + timedelta(days=1 + keep_days))


def _has_rows_before(fetch: Fetch, table_name: str, day: date) -> bool:
    moment = sql.Literal(day_bounds(day)["first"])
    [(has_rows,)] = fetch(filled_expire_query("has_rows_before", table=sql.Identifier(table_name), moment=moment))
    return bool(has_rows)
