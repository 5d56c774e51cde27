"""Balances that are not what their log adds up to: found in Postgres, and set to what it says. SQL: `ledger.sql`.

Moves of points and credits are `ingest_app.rewards`; here is what an operator does after somebody wrote past them.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files

from sqlalchemy import Connection

MOST = 2_147_483_647


@dataclass(frozen=True, slots=True)
class Difference:
    """A balance of a user, of `kind` points or credits, and what it should be; a balance that is missing is 0."""

    user_id: int
    kind: str
    balance: int
    logged: int

    def __str__(self) -> str:
        return f"user {self.user_id} has {self.balance} {self.kind}, the log adds up to {self.logged}"

    @property
    def is_mendable(self) -> bool:
        """Whether a balance can be what the log adds up to; else it is the log that is wrong."""
        return 0 <= self.logged <= MOST


def differences(connection: Connection) -> list[Difference]:
    """Compare every balance with all of its log rows, as of one moment."""
    return [Difference(**row._mapping) for row in connection.exec_driver_sql(_queries()["differing"])]


def mend_balances(connection: Connection, actor: str) -> Iterator[Difference]:
    """Set each balance to what its log adds up to where that can be, and yield what was; each leaves an audit row.

    Moves may go on meanwhile. They change a balance and its log alike, so that a balance that still is what it was
    compared as still differs by as much; one that has moved is left for the next time.
    """
    for found in differences(connection):
        query = _queries()[f"mend_{found.kind}"]
        if found.is_mendable and connection.exec_driver_sql(query, {**asdict(found), "actor": actor}).first():
            yield found


@cache
def _queries() -> dict[str, str]:
    text = files("footfall").joinpath("ledger.sql").read_text(encoding="utf-8")
    _, *parts = re.split(r"^-- (\w+) --$", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))
