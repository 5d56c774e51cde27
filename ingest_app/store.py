"""Rows into Postgres: append an event once, upsert what is, move a last-seen time forward. No HTTP, no validation.

Each function takes rows as the JSON text of an array of objects with the table's column names, as the spool holds
them, and runs in the transaction of the intake that it is given; Postgres reads the text, and nobody before it. A
statement takes rows in the order of their key, so that two that meet wait for each other and do not deadlock.
"""

from collections.abc import Callable, Iterable
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
from sqlalchemy import (
    ARRAY,
    Column,
    ColumnElement,
    Connection,
    Select,
    Table,
    Text,
    TextClause,
    bindparam,
    cast,
    column,
    func,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, aggregate_order_by, dialect, distinct_on, insert
from sqlalchemy.sql.selectable import FromClause

from ingest_app.intake import Intake
from ingest_app.schema import accounts, tracking_live_sessions, user_heartbeats, visitor_sessions
from ingest_app.schema.base import Timestamp

Write = Callable[[Intake, bytes], int]

# made by the database: a row's number, its own clock, its transaction
GENERATED = {"id", "received_at", "xid"}
APPEND = Path(__file__).with_name("append.sql")
DIALECT = dialect()  # type: ignore[no-untyped-call]


def append_to(table: Table) -> Write:
    """Make the writer of an event table: a row whose `event_id` this table has seen before is left out.

    It returns the number of new rows, and counts what was stored, and by people, and what had come before. The
    constraint is the primary key of `event_ids`, so it also holds when two writers bring the same event at the same
    moment.
    """

    def append(intake: Intake, rows: bytes) -> int:
        given = {
            "rows": rows.decode(),
            "received_at": intake.received_at,
            "notes_repeats": intake.notes_repeats,
        }
        counted: dict[str, Any] = {**intake.connection.execute(_append_statement(table), given).mappings().one()}
        intake.count(table.name, **counted)
        stored: int = counted["stored"]
        return stored

    return append


def upsert_into(table: Table) -> Write:
    """Make the writer of a state table with key `id`: columns that a row leaves out keep their value.

    It returns the number of new and changed rows; a row that says what is known is not written again.
    """

    def upsert(intake: Intake, rows: bytes) -> int:
        merged: dict[object, dict[str, object]] = {}
        for row in msgspec.json.decode(rows):
            merged[row["id"]] = {**merged.get(row["id"], {}), **row}
        by_columns = sorted(merged.values(), key=lambda row: (sorted(row), str(row["id"])))
        return sum(
            _run(intake.connection, _upsert_statement(table, tuple(columns)), msgspec.json.encode(list(same)))
            for columns, same in groupby(by_columns, key=sorted)
        )

    return upsert


def see_visitors(intake: Intake, rows: bytes) -> int:
    """Note browser sessions as seen from `first_seen_at` to `last_seen_at`; neither time ever shrinks the span."""
    return _run(intake.connection, _see_visitors_statement(), rows)


def see_accounts(intake: Intake, rows: bytes) -> int:
    """Note accounts as active. One that is not known yet is made, bare: its details come by `PUT /api/accounts`."""
    _run(intake.connection, _make_accounts_statement(), rows)
    return _run(intake.connection, _newest_statement(user_heartbeats, "last_seen_at"), rows)


def see_live_sessions(intake: Intake, rows: bytes) -> int:
    """Note students and teachers as live; an older heartbeat changes nothing."""
    return _run(intake.connection, _newest_statement(tracking_live_sessions, "last_heartbeat"), rows)


def delete_from(connection: Connection, table: Table, key: object) -> bool:
    """Delete the row with this `id`; false where there was none."""
    return connection.execute(table.delete().where(table.c.id == key)).rowcount > 0


def _run(connection: Connection, statement: Insert, rows: bytes) -> int:
    counted = statement.execution_options(preserve_rowcount=True)
    return connection.execute(counted, {"rows": rows.decode()}).rowcount


def _incoming(columns: Iterable[Column[Any]]) -> FromClause:
    """Read the JSON parameter as rows with the table's own types."""
    rows = func.jsonb_to_recordset(cast(bindparam("rows", type_=Text), JSONB))
    return rows.table_valued(*(column(c.name, c.type) for c in columns)).render_derived(
        name="incoming", with_types=True
    )


@cache
def _append_statement(table: Table) -> TextClause:
    columns = {c.name: c.type.compile(DIALECT) for c in table.c if c.name not in GENERATED}
    query = APPEND.read_text().format(
        table=table.name,
        columns=", ".join(columns),
        typed_columns=", ".join(f"{name} {kind}" for name, kind in columns.items()),
    )
    return text(query).bindparams(bindparam("received_at", type_=Timestamp))


@cache
def _upsert_statement(table: Table, names: tuple[str, ...]) -> Insert:
    incoming = _incoming(table.c[name] for name in names)
    statement = insert(table).from_select(names, select(*incoming.c), include_defaults=False)
    stated: dict[str, Any] = {name: statement.excluded[name] for name in names if name != "id"}
    if not stated:
        return statement.on_conflict_do_nothing()
    moved = {"updated_at": func.now()} if "updated_at" in table.c else {}
    return statement.on_conflict_do_update(
        index_elements=["id"],
        set_={**moved, **stated},
        where=or_(*(table.c[name].is_distinct_from(value) for name, value in stated.items())),
    )


@cache
def _see_visitors_statement() -> Insert:
    table = visitor_sessions
    names = ["session_id", "ip_hash", "ua_hash", "first_seen_at", "last_seen_at"]
    found = _incoming(table.c[name] for name in names).c

    def of_first(name: str) -> ColumnElement[Any]:
        """Take the value of the batch's first visit of the session."""
        return func.array_agg(aggregate_order_by(found[name], found.first_seen_at), type_=ARRAY(Text))[1]

    folded = select(
        found.session_id,
        of_first("ip_hash"),
        of_first("ua_hash"),
        func.min(found.first_seen_at),
        func.max(found.last_seen_at),
    )
    by_key = folded.group_by(found.session_id).order_by(found.session_id)
    statement = insert(table).from_select(names, by_key, include_defaults=False)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["session_id"],
        set_={
            "first_seen_at": func.least(table.c.first_seen_at, new.first_seen_at),
            "last_seen_at": func.greatest(table.c.last_seen_at, new.last_seen_at),
        },
    )


@cache
def _make_accounts_statement() -> Insert:
    found = _incoming([user_heartbeats.c.user_id]).c
    known: Select[Any] = select(found.user_id).distinct().order_by(found.user_id)
    return insert(accounts).from_select(["id"], known, include_defaults=False).on_conflict_do_nothing()


@cache
def _newest_statement(table: Table, time: str) -> Insert:
    """Insert each key's newest row, or replace the row where the new time is not older: it never moves back."""
    key = next(iter(table.primary_key)).name
    names = [c.name for c in table.c if c.name not in {"created_at", "xid"}]
    found = _incoming(table.c[name] for name in names).c
    newest = select(*found).ext(distinct_on(found[key])).order_by(found[key], found[time].desc())
    statement = insert(table).from_select(names, newest, include_defaults=False)
    return statement.on_conflict_do_update(
        index_elements=[key],
        set_={name: statement.excluded[name] for name in names if name != key},
        where=table.c[time] <= statement.excluded[time],
    )
