"""One transaction's worth of a spool: lock its cursor, write the rows that follow, move it. No loop, no files."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import DBAPIError

from ingest_app.drain.rejected import is_records_fault, write_or_reject
from ingest_app.intake import UNREADABLE, Intake
from ingest_app.kinds import KINDS
from ingest_app.rewards.earning import REWARDED_KIND, earn_by_rules
from ingest_app.schema import spool_cursors
from ingest_app.spool.files import Part, unpack
from ingest_app.spool.reader import Entry

_ROWS = msgspec.json.Decoder(list[msgspec.Raw])


@dataclass(slots=True)
class Drained:
    """What a batch did: records read, event rows that were there already, rows that Postgres refused, points earned.

    `has_more` tells that the batch was cut at its limits: the rest is there already.
    """

    records: int = 0
    duplicates: int = 0
    rejected: int = 0
    points: int = 0
    has_more: bool = False

    def add(self, other: "Drained") -> None:
        """Count what another batch did."""
        self.records += other.records
        self.duplicates += other.duplicates
        self.rejected += other.rejected
        self.points += other.points
        self.has_more |= other.has_more


def lock_cursor(connection: Connection, spool_name: str) -> int:
    """Return how far the spool is drained; whoever else drains it waits until this transaction ends."""
    c = spool_cursors.c
    statement = select(c.drained_seq).where(c.spool_name == spool_name).with_for_update()
    found = connection.execute(statement).scalar()
    if found is None:
        made = insert(spool_cursors).values(spool_name=spool_name)
        # an update that changes nothing: it also returns the row that another made at the same moment
        same = made.on_conflict_do_update(index_elements=[c.spool_name], set_={"spool_name": made.excluded.spool_name})
        found = connection.execute(same.returning(c.drained_seq)).scalar_one()
    return int(found)


def move_cursor(connection: Connection, spool_name: str, seq: int) -> None:
    """Say that everything up to `seq` is in this database."""
    moved = update(spool_cursors).where(spool_cursors.c.spool_name == spool_name)
    connection.execute(moved.values(drained_seq=seq, updated_at=func.now()))


def write_entries(connection: Connection, entries: Sequence[Entry], cursor: int) -> Drained:
    """Write the rows of entries, a statement a kind, then what they earn. What Postgres refuses is set aside, alone.

    Records after `cursor` that none of the entries has are lost: they are counted as accepted, and as nothing else.
    """
    drained, has_earners = Drained(), False
    intake = Intake(connection)
    for kind, parts in _by_kind(entries).items():
        count = sum(part.count for part in parts)
        rows = b"[" + b",".join(part.rows[1:-1] for part in parts) + b"]"
        # a spool may be from another version
        if kind in KINDS:
            KINDS[kind].accept(intake, count)
        written, rejected = _write(intake, kind, rows)
        drained.records += count
        drained.rejected += rejected
        has_earners |= kind == REWARDED_KIND and written > 0
    drained.duplicates = intake.counted("duplicate")
    intake.count(UNREADABLE, accepted=entries[-1].seq - cursor - drained.records)
    # late, for the balances' locks: who spends points waits for this transaction only from here on
    if has_earners:
        drained.points = earn_by_rules(connection)
    intake.write()
    return drained


def _write(intake: Intake, kind: str, rows: bytes) -> tuple[int, int]:
    if kind in KINDS:
        try:
            with intake.connection.begin_nested():
                return KINDS[kind].write(intake, rows), 0
        except DBAPIError as error:
            if not is_records_fault(error):
                raise
    return write_or_reject(intake, kind, _ROWS.decode(rows))


def _by_kind(entries: Iterable[Entry]) -> dict[str, list[Part]]:
    found = defaultdict(list)
    for entry in entries:
        for part in unpack(entry.body):
            found[part.kind].append(part)
    return dict(sorted(found.items()))
