"""How a day's partition leaves Postgres, and comes back, while inserts go on. Whether it may is not asked here.

No statement here waits in a queue that an insert would have to join: `DETACH … CONCURRENTLY` and `ATTACH` lock the
event table weakly, and the day's own table is locked alone only once no insert looks for it. Every wait is bounded;
who is waited for is named.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.errors import LockNotAvailable, QueryCanceled

from warehouse.archive.errors import DayHeldUp, DayStays
from warehouse.archive.fingerprint import day_bounds, postgres_text
from warehouse.archive.retention import Partition, State, find_partitions
from warehouse.archive.sealed_file import Fingerprint
from warehouse.columns import selected
from warehouse.errors import PostgresQueryFailed, one_line
from warehouse.held_back import OpenTransaction
from warehouse.postgres import connect
from warehouse.queries import filled_expire_query

ATTEMPTS = 3
LOCK_WAIT_MS = 3_000
# a detach waits for one transaction after the other, for each at most as long as for a lock
DETACH_MS = 10_000
AGAIN = "what was done stays done, run it again"


@contextmanager
def open_session(database_url: str, purpose: str) -> Iterator[psycopg.Connection]:
    """Connect in autocommit, so that no snapshot of ours is waited for; no lock is waited for for long.

    Raises PostgresUnreachable; PostgresQueryFailed for what the block asks in vain.
    """
    with connect(database_url) as connection:
        try:
            connection.execute("SELECT set_config('application_name', %s, false)", [f"footfall {purpose}"])
            _set_timeouts(connection, statement_ms=0)
            yield connection
        except psycopg.Error as error:
            raise PostgresQueryFailed(purpose, one_line(error), AGAIN) from error


def fetcher(connection: psycopg.Connection) -> Callable[[str], list[tuple[Any, ...]]]:
    """Return what asks on this connection."""
    return lambda query: connection.execute(query.encode()).fetchall()


def partitions_in(database_url: str) -> list[Partition]:
    """Find the days that this database has. Raises PostgresUnreachable, PostgresQueryFailed."""
    with open_session(database_url, "name its days") as connection:
        return find_partitions(fetcher(connection))


def state_of(connection: psycopg.Connection, partition: Partition) -> State | None:
    """Tell how a day's table stands now; None where there is none."""
    found = {one.name: one.state for one in find_partitions(fetcher(connection))}
    return found.get(partition.name)


def fingerprint_of(connection: psycopg.Connection, partition: Partition, columns: Mapping[str, str]) -> Fingerprint:
    """Add up all rows of a day's table, attached or not."""
    query = filled_expire_query(
        "partition_fingerprint",
        partition=sql.Identifier(partition.name),
        columns=sql.SQL(", ".join(selected(column, kind) for column, kind in columns.items())),
        text=sql.SQL(postgres_text(columns)),
    )
    [(row_count, digest)] = fetcher(connection)(query)
    return Fingerprint(row_count, int(digest))


def size_of(connection: psycopg.Connection, partition: Partition) -> int:
    """Return its bytes on the disk, with its indexes."""
    query = filled_expire_query("size", partition=sql.Literal(f"public.{partition.name}"))
    [(byte_count,)] = fetcher(connection)(query)
    return int(byte_count)


def detach(connection: psycopg.Connection, partition: Partition) -> None:
    """Make the partition a table of its own, from wherever an earlier attempt has left it. Raises DayHeldUp."""
    for _ in range(ATTEMPTS):
        state = state_of(connection, partition)
        if state == "detached":
            return
        try_detach(connection, partition, "detach" if state == "attached" else "finalize")
    if state_of(connection, partition) != "detached":
        raise _held_up(connection, partition, "is not detached yet, and the next run goes on from there")


def try_detach(connection: psycopg.Connection, partition: Partition, step: str) -> None:
    """Do a step of it; given up where a transaction takes too long, what is done of it stays."""
    _set_timeouts(connection, statement_ms=DETACH_MS)
    try:
        _run(connection, step, table=sql.Identifier(partition.table_name), partition=sql.Identifier(partition.name))
    except (LockNotAvailable, QueryCanceled):
        return
    finally:
        if not connection.broken:
            _set_timeouts(connection, statement_ms=0)


def attach(connection: psycopg.Connection, partition: Partition) -> None:
    """Let a table be the event table's partition, again or for the first time. Raises DayHeldUp."""
    bounds = {name: sql.Literal(moment) for name, moment in day_bounds(partition.day).items()}
    names = {"table": sql.Identifier(partition.table_name), "partition": sql.Identifier(partition.name)}
    for _ in range(ATTEMPTS):
        try:
            # in the caller's transaction, if there is one: a savepoint
            with connection.transaction():
                _run(connection, "attach", **names, **bounds)
        except LockNotAvailable:
            continue
        return
    raise _held_up(connection, partition, "cannot be attached, and nobody sees its rows: run it again")


def drop_if(connection: psycopg.Connection, partition: Partition, is_whole: Callable[[], object]) -> int:
    """Drop a detached table once `is_whole` has looked at it where nobody can change it; return its bytes.

    What `is_whole` raises leaves the table as it was. Raises DayStays where somebody has attached it again: to drop a
    partition locks the event table against everybody; DayHeldUp where somebody else uses it.
    """
    for _ in range(ATTEMPTS):
        try:
            with connection.transaction():
                _run(connection, "lock_alone", partition=sql.Identifier(partition.name))
                if state_of(connection, partition) != "detached":
                    raise DayStays(partition.table_name, partition.day, "somebody has attached it again (run it again)")
                is_whole()
                byte_count = size_of(connection, partition)
                drop_table(connection, partition)
        except LockNotAvailable:
            continue
        return byte_count
    raise _held_up(connection, partition, "is detached and not dropped yet, the next run does that")


def drop_table(connection: psycopg.Connection, partition: Partition) -> None:
    """Drop it, in the caller's transaction."""
    _run(connection, "drop", partition=sql.Identifier(partition.name))


def _held_up(connection: psycopg.Connection, partition: Partition, where: str) -> DayHeldUp:
    """Name who has had the table, or an older view of it, for longer than we have waited."""
    query = filled_expire_query(
        "held_up_by",
        table=sql.Literal(partition.table_name),
        partition=sql.Literal(partition.name),
        seconds=sql.Literal(LOCK_WAIT_MS / 1000),
    )
    found = [str(OpenTransaction(*row)) for row in fetcher(connection)(query)]
    return DayHeldUp(partition.table_name, partition.day, where, ", ".join(found) or "somebody who has left meanwhile")


def _set_timeouts(connection: psycopg.Connection, *, statement_ms: int) -> None:
    milliseconds = {"lock_ms": sql.Literal(f"{LOCK_WAIT_MS}ms"), "statement_ms": sql.Literal(f"{statement_ms}ms")}
    _run(connection, "timeouts", **milliseconds)


def _run(connection: psycopg.Connection, name: str, **parts: sql.Composable) -> None:
    connection.execute(filled_expire_query(name, **parts).encode())
