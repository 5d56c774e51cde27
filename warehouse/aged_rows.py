"""Rows of Postgres that are too old: found, counted, and deleted batch by batch. The rules are in `retention`.

A batch is a statement and a transaction of its own, bounded in rows or in blocks and reached by an index or by its
place: who is killed leaves whole batches, and another run at the same time takes other rows.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import psycopg

from warehouse.queries import retention_query

BATCH_ROWS = 5_000
# 2 MB: some ten thousand rows of the narrowest table
BATCH_BLOCKS = 256
# so many blocks tell how old the oldest rows are, also where a table has millions of them
SAMPLED_BLOCKS = 500
BEGINNING = "-infinity"


@dataclass(frozen=True, slots=True)
class Counts:
    """How much was due, and how much was removed of it."""

    due: int = 0
    removed: int = 0


class AgedRows(Protocol):
    """The rows of one table as housekeeping sees them."""

    @property
    def table(self) -> str:
        """Its name, with the schema where that is not `public`."""

    def oldest(self, connection: psycopg.Connection) -> datetime | None:
        """Return when the oldest row began to age; of a large table, of the oldest of a sample."""

    def remove(self, connection: psycopg.Connection, before: datetime, *, dry_run: bool = True) -> Counts:
        """Delete what began to age before that moment, or only count it."""


@dataclass(frozen=True, slots=True)
class RowsByIndex:
    """Rows found by a b-tree index of their time, the oldest first."""

    table: str
    time: str
    # the batch: `delete_by_index`, or one that also keeps something of what goes
    batch: str = "delete_by_index"

    def oldest(self, connection: psycopg.Connection) -> datetime | None:
        """Read it off the index."""
        oldest: datetime | None = _one(connection, self._query("oldest_by_index"))
        return oldest

    def remove(self, connection: psycopg.Connection, before: datetime, *, dry_run: bool = True) -> Counts:
        """Go along the index."""
        due = int(_one(connection, self._query("count_by_index"), before=before))
        return Counts(due, 0 if dry_run else sum(self._batches(connection, before)))

    def _batches(self, connection: psycopg.Connection, before: datetime) -> Iterator[int]:
        after: datetime | str = BEGINNING
        while True:
            values = {"after": after, "before": before, "limit": BATCH_ROWS}
            [(count, last)] = connection.execute(self._query(self.batch), values).fetchall()
            if not count:
                return
            yield int(count)
            after = last

    def _query(self, name: str) -> bytes:
        return retention_query(name, table=self.table, time=self.time)


@dataclass(frozen=True, slots=True)
class RowsByPlace:
    """Rows of a table that has no such index, or one that tells only where times lie about: gone through once.

    A table that is not there has no rows: Dagster makes its own when it first starts.
    """

    table: str
    time: str
    condition: str = "true"

    def oldest(self, connection: psycopg.Connection) -> datetime | None:
        """Look at blocks here and there; at all of them where they are few."""
        blocks = self._block_count(connection)
        if not blocks:
            return None
        percent = min(100.0, 100.0 * SAMPLED_BLOCKS / blocks)
        oldest: datetime | None = _one(connection, self._query("oldest_in_sample"), percent=percent)
        return oldest

    def remove(self, connection: psycopg.Connection, before: datetime, *, dry_run: bool = True) -> Counts:
        """Go through the blocks that there are."""
        due = removed = 0
        for first in range(0, self._block_count(connection), BATCH_BLOCKS):
            place = {"first": f"({first},0)", "end": f"({first + BATCH_BLOCKS},0)", "before": before}
            found = int(_one(connection, self._query("count_in_blocks"), **place))
            due += found
            if found and not dry_run:
                removed += int(_one(connection, self._query("delete_in_blocks"), **place))
        return Counts(due, removed)

    def _block_count(self, connection: psycopg.Connection) -> int:
        if not _one(connection, self._query("exists"), table=self.table):
            return 0
        return int(_one(connection, self._query("block_count"), table=self.table))

    def _query(self, name: str) -> bytes:
        return retention_query(name, table=self.table, time=self.time, condition=self.condition)


# a UUID of version 8 was made by an import of its record's content: the import is safe to repeat at any time
NOT_OF_AN_IMPORT = "substr(event_id::text, 15, 1) <> '8'"
# the event may have come in by itself: who tries the rejected record again, however late, must find that it has.
# OFFSET keeps the planner from a join, which would read all bodies for each batch: an index has the answer for each row
NOT_OF_A_REJECT = """
    NOT EXISTS (SELECT FROM rejected_records WHERE rejected_records.event_id = event_ids.event_id OFFSET 0)
"""

AGED_ROWS: dict[str, AgedRows] = {
    "live_sessions": RowsByIndex("tracking_live_sessions", "last_heartbeat"),
    "visitor_sessions": RowsByIndex("visitor_sessions", "last_seen_at", "forget_visitors"),
    "event_ids": RowsByPlace("event_ids", "received_at", f"{NOT_OF_AN_IMPORT} AND {NOT_OF_A_REJECT}"),
    "idempotency_keys": RowsByPlace("idempotency_keys", "created_at"),
    "rejected_records": RowsByIndex("rejected_records", "rejected_at"),
    # no function of Dagster's deletes these two: of checks none at all, of ticks those of schedules that still run
    "dagster_checks": RowsByPlace("dagster.asset_check_executions", "(create_timestamp AT TIME ZONE 'UTC')"),
    "dagster_ticks": RowsByPlace("dagster.job_ticks", "(timestamp AT TIME ZONE 'UTC')"),
}
"""Rule to its rows."""


def _one(connection: psycopg.Connection, query: bytes, **values: object) -> Any:  # noqa: ANN401 (what the query asks for)
    [(answer,)] = connection.execute(query, values).fetchall()
    return answer
