"""Which days of the event tables Postgres has, and which are due by `warehouse.retention`. Nothing leaves here.

Cleaning up by the age of rows is left to others: an event table's day leaves whole, as the partition that it is.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Literal

from psycopg import sql

from warehouse.queries import filled_expire_query
from warehouse.retention import kept_by_setting
from warehouse.tables import EVENT_TABLES

Fetch = Callable[[str], Iterable[Sequence[Any]]]
State = Literal["attached", "pending", "detached"]

SETTING = "archive_after_days"
_DAY_AT_THE_END = re.compile(r"_p(\d{8})$")


@dataclass(frozen=True, slots=True)
class Partition:
    """A table with one day (UTC, of receipt) of an event table.

    `pending`: its detach was begun and not ended; `detached`: it is a table of its own, and no longer read as events.
    """

    table_name: str
    day: date
    state: State = "attached"

    @property
    def name(self) -> str:
        """Its own name in Postgres."""
        return f"{self.table_name}_p{self.day:%Y%m%d}"

    def __str__(self) -> str:
        return f"{self.table_name} of {self.day}"


def partition_day(name: str) -> date | None:
    """Read the day off a partition's name; None where it names none, as `…_p20249999`."""
    if found := _DAY_AT_THE_END.search(name):
        try:
            return datetime.strptime(found[1], "%Y%m%d").date()  # noqa: DTZ007 (a day, not a moment)
        except ValueError:
            return None
    return None


def is_due(day: date, today: date, keep_days: int) -> bool:
    """Tell whether the day ended at least so many days ago; both days are of UTC."""
    return day + timedelta(days=1 + keep_days) <= today


def due(partitions: Iterable[Partition], today: date, keep_days: int) -> list[Partition]:
    """Choose what has to leave: first what has begun to, since a table detaches one partition at a time; then by day.

    What somebody has begun to detach is among them whatever its age, for it has to be ended.
    """
    chosen = [one for one in partitions if one.state == "pending" or is_due(one.day, today, keep_days)]
    return sorted(chosen, key=lambda one: (one.state == "attached", one.day, one.table_name))


def archive_after_days(fetch: Fetch) -> int:
    """Read the setting; the default where it is not set. Raises SettingUnusable."""
    [*values] = fetch(filled_expire_query("setting", key=sql.Literal(SETTING)))
    return kept_by_setting(SETTING, *(value for (value,) in values)).days


def today_of(fetch: Fetch) -> date:
    """Ask Postgres, whose clock sets `received_at`, which day (UTC) it is."""
    [(today,)] = fetch(filled_expire_query("today"))
    found: date = today
    return found


def find_partitions(fetch: Fetch) -> list[Partition]:
    """Find the days that Postgres has, table by table, the oldest first."""
    rows = fetch(filled_expire_query("partitions", names=sql.Literal(EVENT_TABLES)))
    days = ((table_name, partition_day(name), state) for table_name, name, state in rows)
    return [Partition(table_name, day, state) for table_name, day, state in days if day is not None]
