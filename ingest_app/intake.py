"""What became of the records of event tables, counted in the transaction that writes their rows: `intake_counts`.

Accepted is what spools and files say they hold; stored and duplicates are what the statement that wrote the rows says,
rejected is counted where a record is set aside. None is worked out of the others, so that a record that is lost in
between shows. No rows of events are written here.
"""

import socket
from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Text, func, literal, select, text, update
from sqlalchemy.dialects.postgresql import insert

from ingest_app.schema import admin_audit_log, intake_counts
from ingest_app.schema.state import INTAKE_COUNTS

# the row that workers count in, for who writes into the drainer's would have to wait for its transactions
WORKERS = f"{socket.gethostname()} workers"
# operators' own, who may hold them for as long as many records take
RETRIES = "rejected retry"
IMPORTS = "import"
# stands for the tables of records that a spool has lost: for which they were cannot be read either
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Lost:
    """Records that were accepted and of which nothing became, of an hour (UTC), a table and who counted."""

    received_hour: datetime
    table_name: str
    node_name: str
    record_count: int


class Intake:
    """One transaction's receipt of records: its moment, by Postgres's clock, and what it counts until `write`.

    All its rows carry that moment as `received_at`, so that they are of the hour in which they are counted.
    """

    def __init__(self, connection: Connection, node_name: str | None = None) -> None:
        """Begin it; `node_name` is who counts, this host unless given."""
        self.connection = connection
        # the transaction has its xid before the clock is read: `warehouse.archive.days` tells closed days by xids
        moment = select(func.pg_current_xact_id().cast(Text), func.clock_timestamp())
        self.received_at: datetime = connection.execute(moment).one()[1]
        # noting repeats locks ids until the end; of these transactions only a drainer's end soon
        self.notes_repeats = node_name is None
        self._node_name = node_name or socket.gethostname()
        self._counts: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def count(self, table_name: str, **counts: int) -> None:
        """Add to the counts of a table; the names are the columns' without `_count`."""
        self._counts[table_name].update({f"{name}_count": number for name, number in counts.items() if number})

    def counted(self, name: str) -> int:
        """Return what was counted under a name, of all tables."""
        return sum(counts[f"{name}_count"] for counts in self._counts.values())

    def write(self) -> None:
        """Write the counts; last in the transaction, as whoever counts in the same rows waits for its end."""
        hour = func.date_trunc("hour", literal(self.received_at), "UTC")
        for table_name, counts in sorted(self._counts.items()):
            if any(counts.values()):
                self._add(hour, table_name, counts)

    def _add(self, hour: object, table_name: str, counts: Counter[str]) -> None:
        numbers = {name: counts[name] for name in INTAKE_COUNTS}
        last_human_at = self.received_at if counts["human_count"] else None
        row = insert(intake_counts).values(
            received_hour=hour, table_name=table_name, node_name=self._node_name, last_human_at=last_human_at, **numbers
        )
        table, new = intake_counts.c, row.excluded
        self.connection.execute(
            row.on_conflict_do_update(
                index_elements=["received_hour", "table_name", "node_name"],
                set_={
                    **{name: table[name] + new[name] for name in INTAKE_COUNTS},
                    "last_human_at": func.greatest(table.last_human_at, new.last_human_at),
                    "updated_at": func.now(),
                },
            )
        )


def list_lost(connection: Connection) -> list[Lost]:
    """Return what was accepted and is neither stored nor told of otherwise, the oldest first."""
    c = intake_counts.c
    lost = c.accepted_count - c.stored_count - c.duplicate_count - c.rejected_count - c.dropped_count
    columns = (c.received_hour, c.table_name, c.node_name, lost.label("record_count"))
    order = (c.received_hour, c.table_name, c.node_name)
    return [Lost(**row) for row in connection.execute(select(*columns).where(lost > 0).order_by(*order)).mappings()]


def accept_lost(connection: Connection, actor: str) -> list[Lost]:
    """Count what is lost as rejected, for ever, with a row each in the audit log; returns what that was.

    In the caller's transaction, in which nobody else counts.
    """
    connection.execute(text("LOCK TABLE intake_counts IN SHARE ROW EXCLUSIVE MODE"))
    found = list_lost(connection)
    c = intake_counts.c
    for lost in found:
        row = (c.received_hour == lost.received_hour, c.table_name == lost.table_name, c.node_name == lost.node_name)
        connection.execute(
            update(intake_counts).where(*row).values(rejected_count=c.rejected_count + lost.record_count)
        )
        detail = {"received_hour": lost.received_hour.isoformat(), "node": lost.node_name, "records": lost.record_count}
        entry = {"actor": actor, "action": "rejected.lost", "subject": lost.table_name, "detail": detail}
        connection.execute(insert(admin_audit_log).values(entry))
    return found
