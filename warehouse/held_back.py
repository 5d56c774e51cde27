"""Which open transactions keep rows from a load: it cannot see what they wrote, and takes it once they have committed.

Nothing is lost by that, but the marts lack these rows for as long as such a transaction stays open. Nothing is loaded
here, and no transaction ended.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from warehouse.queries import postgres_query
from warehouse.tables import TABLES

LOADED = {table.name for table in TABLES}
Fetch = Callable[[str], Iterable[Sequence[Any]]]


@dataclass(frozen=True)
class OpenTransaction:
    """A transaction that has written to a loaded table and not ended.

    `pid` is its session's; None for a prepared transaction, which has none, and whose `name` is its global identifier,
    not the application's. `age_seconds` is None where Postgres does not tell us of other roles' sessions.
    """

    pid: int | None
    name: str
    age_seconds: float | None

    def __str__(self) -> str:
        who = (
            f"prepared transaction {self.name!r}" if self.pid is None else f"pid {self.pid} ({self.name or 'no name'})"
        )
        age = "for an unknown time" if self.age_seconds is None else f"for {self.age_seconds:.0f} s"
        return f"{who}, open {age}"


def held_back(fetch: Fetch) -> dict[str, list[OpenTransaction]]:
    """Find the writers that are open now: of each table, the oldest first. `fetch` asks the database.

    They were open, or not begun, at the moment of any snapshot taken before: it sees none of their rows.
    """
    found: dict[str, list[OpenTransaction]] = {}
    for table_name, *rest in fetch(postgres_query("held_back")):
        if table_name in LOADED:
            found.setdefault(table_name, []).append(OpenTransaction(*rest))
    return found
