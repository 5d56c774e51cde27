"""Records that Postgres refused after their 202: set aside with reason and body, listed, tried again. Never dropped."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec
from psycopg.errors import (
    CheckViolation,
    DataError,
    IntegrityError,
    ProgramLimitExceeded,
    RaiseException,
    StatementTooComplex,
)
from sqlalchemy import Connection, Row, delete, insert, select
from sqlalchemy.exc import DBAPIError

from ingest_app.intake import RETRIES, Intake
from ingest_app.kinds import KINDS
from ingest_app.migrate import make_partitions
from ingest_app.rewards.earning import REWARDED_KIND, earn_by_rules
from ingest_app.schema import rejected_records

# what stays refused however often it is tried: values, constraints, sizes, depth of nesting, an operator's trigger
RECORDS_FAULTS = (DataError, IntegrityError, ProgramLimitExceeded, StatementTooComplex, RaiseException)


def is_records_fault(error: DBAPIError) -> bool:
    """Tell whether Postgres refused what the rows say."""
    return isinstance(error.orig, RECORDS_FAULTS) and not is_missing_partition(error)


def is_missing_partition(error: DBAPIError) -> bool:
    """Tell whether today has no partition: the one check that has no name, whatever language the server speaks."""
    return isinstance(error.orig, CheckViolation) and error.orig.diag.constraint_name is None


def write_or_reject(intake: Intake, kind: str, rows: Sequence[msgspec.Raw]) -> tuple[int, int]:
    """Write all rows but those that Postgres refuses, which go to `rejected_records` one by one.

    Returns how many rows were new or changed and how many were rejected. A refused half is halved again, so one
    bad row among n costs about log2(n) more statements.
    """
    if kind not in KINDS:
        for row in rows:
            _reject(intake, kind, row, "this version knows no records of the kind")
        return 0, len(rows)
    try:
        with intake.connection.begin_nested():
            return KINDS[kind].write(intake, msgspec.json.encode(rows)), 0
    except DBAPIError as error:
        if not is_records_fault(error):
            raise
        if len(rows) == 1:
            _reject(intake, kind, rows[0], str(error.orig).partition("\n")[0])
            return 0, 1
    middle = len(rows) // 2
    first, second = (write_or_reject(intake, kind, half) for half in (rows[:middle], rows[middle:]))
    return first[0] + second[0], first[1] + second[1]


def list_rejected(connection: Connection, limit: int) -> Sequence[Row[Any]]:
    """Return the newest rejected records: id, kind, event_id, reason, body, rejected_at."""
    statement = select(rejected_records).order_by(rejected_records.c.id.desc()).limit(limit)
    return connection.execute(statement).all()


def retry_rejected(connection: Connection, ids: Sequence[int]) -> tuple[int, int]:
    """Try rejected records again, all where `ids` is empty. Returns how many are in now and how many stay.

    In the caller's transaction; a record whose event has come in by itself since counts once, as every event does. What
    comes in earns points by the rules, as it would have when it was drained, and is counted as accepted again, now.
    """
    make_partitions(connection)
    statement = select(rejected_records).order_by(rejected_records.c.id).with_for_update(skip_locked=True)
    if ids:
        statement = statement.where(rejected_records.c.id.in_(ids))
    kept = stayed = 0
    has_earners = False
    intake = Intake(connection, RETRIES)
    for row in connection.execute(statement).all():
        if row.kind not in KINDS:
            stayed += 1
            continue
        try:
            with connection.begin_nested():
                KINDS[row.kind].write(intake, b"[" + row.body.encode() + b"]")
                connection.execute(delete(rejected_records).where(rejected_records.c.id == row.id))
            KINDS[row.kind].accept(intake, 1)
            kept += 1
            has_earners |= row.kind == REWARDED_KIND
        except DBAPIError as error:
            if not is_records_fault(error):
                raise
            stayed += 1
    # all at once: balances are locked in one order
    if has_earners:
        earn_by_rules(connection)
    intake.write()
    return kept, stayed


def _reject(intake: Intake, kind: str, row: msgspec.Raw, reason: str) -> None:
    body = bytes(row)
    values = {"kind": kind, "event_id": _event_id(body), "reason": reason, "body": body.decode()}
    intake.connection.execute(insert(rejected_records).values(values))
    if kind in KINDS and (table_name := KINDS[kind].event_table):
        intake.count(table_name, rejected=1)


class _Named(msgspec.Struct):
    event_id: UUID | None = None


def _event_id(body: bytes) -> UUID | None:
    try:
        return msgspec.json.decode(body, type=_Named).event_id
    except msgspec.ValidationError:
        return None  # it may be just what is wrong with the row
