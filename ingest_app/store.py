"""Rows into Postgres: append an event once, upsert what is, move a last-seen time forward. No HTTP, no validation.

Each function takes rows as dicts of the table's columns, runs in the caller's transaction, and sends all
rows as one JSON parameter. A statement takes rows in the order of their key, so that two that meet wait for each other
and do not deadlock.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from itertools import groupby
from typing import Any

import msgspec
from sqlalchemy import (
    Column,
    Connection,
    Select,
    Table,
    Text,
    bindparam,
    cast,
    column,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, Insert, insert
from sqlalchemy.sql.selectable import FromClause

from ingest_app.schema import (
    accounts,
    event_ids,
    tracking_live_sessions,
    user_heartbeats,
    visitor_sessions,
)

Row = dict[str, Any]
Write = Callable[[Connection, Sequence[Row]], int]


def append_to(table: Table) -> Write:
    """Make the writer of an event table: a row whose `event_id` this table has seen before is left out.

    It returns the number of new rows. The constraint is the primary key of `event_ids`, so it also holds
    when two writers bring the same event at the same moment.
    """

    def append(connection: Connection, rows: Sequence[Row]) -> int:
        unique = {row["event_id"]: row for row in rows}
        return _run(connection, _append_statement(table, tuple(rows[0])), unique.values()) if rows else 0

    return append


def upsert_into(table: Table) -> Write:
    """Make the writer of a state table with key `id`: columns that a row leaves out keep their value.

    It returns the number of new and changed rows; a row that says what is known is not written again.
    """

    def upsert(connection: Connection, rows: Sequence[Row]) -> int:
        merged: dict[object, Row] = {}
        for row in rows:
            merged[row["id"]] = {**merged.get(row["id"], {}), **row}
        by_columns = sorted(merged.values(), key=lambda row: (sorted(row), str(row["id"])))
        return sum(
            _run(connection, _upsert_statement(table, tuple(columns)), same)
            for columns, same in groupby(by_columns, key=sorted)
        )

    return upsert


def delete_from(connection: Connection, table: Table, key: object) -> bool:
    """Delete the row with this `id`; false where there was none."""
    return connection.execute(table.delete().where(table.c.id == key)).rowcount > 0


def see_visitors(connection: Connection, rows: Sequence[Row]) -> int:
    """Note browser sessions as seen from `first_seen_at` to `last_seen_at`; neither time ever shrinks the span."""
    folded: dict[str, Row] = {}
    for row in rows:
        known = folded.setdefault(row["session_id"], dict(row))
        known["first_seen_at"] = min(known["first_seen_at"], row["first_seen_at"])
        known["last_seen_at"] = max(known["last_seen_at"], row["last_seen_at"])
    return _run(connection, _see_visitors_statement(), _by_key(folded))


def see_accounts(connection: Connection, rows: Sequence[Row]) -> int:
    """Note accounts as active. One that is not known yet is made, bare: its details come by `PUT /api/accounts`."""
    folded = _newest(rows, key="user_id", time="last_seen_at")
    _run(connection, _make_accounts_statement(), ({"id": key} for key in sorted(folded)))
    return _run(connection, _newest_statement(user_heartbeats, "last_seen_at"), _by_key(folded))


def see_live_sessions(connection: Connection, rows: Sequence[Row]) -> int:
    """Note students and teachers as live; an older heartbeat changes nothing."""
    folded = _newest(rows, key="session_id", time="last_heartbeat")
    return _run(connection, _newest_statement(tracking_live_sessions, "last_heartbeat"), _by_key(folded))


def _newest(rows: Iterable[Row], key: str, time: str) -> dict[Any, Row]:
    folded: dict[Any, Row] = {}
    for row in rows:
        if row[key] not in folded or folded[row[key]][time] <= row[time]:
            folded[row[key]] = row
    return folded


def _by_key(folded: dict[Any, Row]) -> list[Row]:
    return [row for _, row in sorted(folded.items())]


def _run(connection: Connection, statement: Insert, rows: Iterable[Row]) -> int:
    body = msgspec.json.encode(list(rows)).decode()
    counted = statement.execution_options(preserve_rowcount=True)
    return connection.execute(counted, {"rows": body}).rowcount


def _incoming(columns: Iterable[Column[Any]]) -> FromClause:
    """Read the JSON parameter as rows with the table's own types."""
    rows = func.jsonb_to_recordset(cast(bindparam("rows", type_=Text), JSONB))
    return rows.table_valued(*(column(c.name, c.type) for c in columns)).render_derived(
        name="incoming", with_types=True
    )


@cache
def _append_statement(table: Table, names: tuple[str, ...]) -> Insert:
    # named twice below: as a CTE its JSON is read once
    incoming = select(*_incoming(table.c[name] for name in names).c).cte("given")
    seen: Select[Any] = select(incoming.c.event_id, literal(table.name)).order_by(incoming.c.event_id)
    fresh = (
        insert(event_ids)
        .from_select(["event_id", "table_name"], seen)
        .on_conflict_do_nothing()
        .returning(event_ids.c.event_id)
        .cte("fresh")
    )
    rows = select(*incoming.c).join(fresh, fresh.c.event_id == incoming.c.event_id)
    return insert(table).from_select(names, rows, include_defaults=False)


def _insert(table: Table, names: Sequence[str]) -> Insert:
    incoming = _incoming(table.c[name] for name in names)
    return insert(table).from_select(names, select(*incoming.c), include_defaults=False)


@cache
def _upsert_statement(table: Table, names: tuple[str, ...]) -> Insert:
    statement = _insert(table, names)
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
    statement = _insert(table, ["session_id", "ip_hash", "ua_hash", "first_seen_at", "last_seen_at"])
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
    return _insert(accounts, ["id"]).on_conflict_do_nothing()


@cache
def _newest_statement(table: Table, time: str) -> Insert:
    """Insert, or replace the row where the new time is not older: it never moves back."""
    key = next(iter(table.primary_key)).name
    names = [c.name for c in table.c if c.name not in {"created_at", "xid"}]
    statement = _insert(table, names)
    return statement.on_conflict_do_update(
        index_elements=[key],
        set_={name: statement.excluded[name] for name in names if name != key},
        where=table.c[time] <= statement.excluded[time],
    )
