"""The way to Postgres: one frozen moment of it, read as Arrow, and a plain connection. No DuckDB here."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

import adbc_driver_manager
import psycopg
import pyarrow as pa
from adbc_driver_postgresql import StatementOptions, dbapi
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from warehouse.errors import PostgresQueryFailed, PostgresUnreachable, one_line
from warehouse.queries import postgres_query

CONNECT_TIMEOUT_SECONDS = 5
# a batch of some thousand rows: larger ones are no faster, and several are in memory at any moment
BATCH_BYTES = 2 * 1024 * 1024
INSUFFICIENT_PRIVILEGE = "42501"


@dataclass(frozen=True)
class Snapshot:
    """One moment of one Postgres database.

    `text` is the server's `pg_snapshot`, `taken_at` its clock then, as text; `system_identifier` names the cluster,
    `database_oid` the database in it: together they tell a restored or another database from the one that was loaded.
    """

    text: str
    taken_at: str
    system_identifier: str
    database_oid: int
    _first: Any = field(repr=False)
    _conninfo: str = field(repr=False)
    _open: ExitStack = field(repr=False)
    _batch_bytes: list[int] = field(default_factory=list, repr=False)

    @property
    def received_byte_count(self) -> int:
        """Give how many bytes its streams have brought so far, as Arrow has them in memory."""
        return sum(self._batch_bytes)

    @property
    def xmax(self) -> int:
        """Give the first transaction id that was not given out at this moment."""
        return snapshot_xmax(self.text)

    def fetch(self, query: str, purpose: str = "tell how its tables stand") -> list[tuple[Any, ...]]:
        """Fetch a small answer whole. Raises PostgresQueryFailed, which says what Postgres was asked to do."""
        with _asked_to(purpose):
            return _fetch(self._first, query)

    def run(self, statement: str, purpose: str) -> None:
        """Run what has no answer. Raises PostgresQueryFailed."""
        with _asked_to(purpose):
            _run(self._first, statement)

    @contextmanager
    def streams(self, queries: Sequence[str]) -> Iterator[list[pa.RecordBatchReader]]:
        """Read the answers of queries that ask for the same columns, batch by batch, in no order.

        One query comes in one stream; of several a second connection, which sees the same moment, reads its
        share: whoever has ended a query takes the next. Both streams must be read to their ends.
        """
        left = iter(queries)
        # both before the first query is sent: to join, the second has to ask the first, which cannot answer in a COPY
        connections = list(self._connections(len(queries)))
        with ExitStack() as cursors:
            yield [
                _stream(cursors.enter_context(connection.cursor()), query, left, self._batch_bytes)
                for connection, query in zip(connections, left, strict=False)
            ]

    def lanes(self, count: int) -> list["Lane"]:
        """Give as many ways to read as there is work for, two at most, that see the same moment."""
        return [Lane(connection, self._batch_bytes) for connection in self._connections(count)]

    def _connections(self, query_count: int) -> Iterator[Any]:
        yield self._first
        if query_count > 1:
            yield self._second

    @cached_property
    def _second(self) -> Any:  # noqa: ANN401 (the driver has no types)
        """Join the moment with another connection, the first time that there is much to read."""
        [(name,)] = self.fetch(postgres_query("export"), "let a second connection join")
        connection = self._open.enter_context(dbapi.connect(self._conninfo, autocommit=True))
        _run(connection, postgres_query("begin"))
        _run(connection, sql.SQL(postgres_query("join")).format(name=sql.Literal(name)).as_string())
        return connection


@dataclass(frozen=True)
class Lane:
    """One connection of a snapshot, for one thread at a time."""

    _connection: Any
    _batch_bytes: list[int]

    @contextmanager
    def stream(self, query: str) -> Iterator[pa.RecordBatchReader]:
        """Read the answer of a query, batch by batch, to its end."""
        with self._connection.cursor() as cursor:
            yield _stream(cursor, query, iter(()), self._batch_bytes)


def snapshot_xmax(snapshot: str) -> int:
    """Give xmax of a `pg_snapshot`'s text, `xmin:xmax:xip,…`."""
    return int(snapshot.split(":")[1])


@contextmanager
def open_snapshot(database_url: str) -> Iterator[Snapshot]:
    """Hold one moment of the database, for reading only. Raises PostgresUnreachable."""
    conninfo, address = _conninfo(database_url)
    with ExitStack() as opened:
        try:
            connection = opened.enter_context(dbapi.connect(conninfo, autocommit=True))
        except adbc_driver_manager.Error as error:
            raise PostgresUnreachable(address, one_line(error)) from error
        with _asked_to("tell its snapshot"):
            _run(connection, postgres_query("begin"))
            [(text, taken_at, system_identifier, database_oid)] = _fetch(connection, postgres_query("snapshot"))
        yield Snapshot(text, taken_at, system_identifier, database_oid, connection, conninfo, opened)


@contextmanager
def connect(database_url: str) -> Iterator[psycopg.Connection]:
    """Connect in autocommit. Raises PostgresUnreachable."""
    conninfo, address = _conninfo(database_url)
    try:
        connection = psycopg.connect(conninfo, autocommit=True)
    except psycopg.OperationalError as error:
        raise PostgresUnreachable(address, one_line(error)) from error
    with connection:
        yield connection


def keep_from_log(connection: psycopg.Connection) -> None:
    """Keep statements that name a person out of the server's log when they fail; who may not, goes on."""
    connection.execute(postgres_query("keep_from_log").encode())


def _stream(cursor: Any, query: str, left: Iterator[str], batch_bytes: list[int]) -> pa.RecordBatchReader:  # noqa: ANN401
    """Read this query's answer and those of what is left then; it is sent as COPY in binary format."""
    cursor.adbc_statement.set_options(**{StatementOptions.BATCH_SIZE_HINT_BYTES.value: str(BATCH_BYTES)})
    cursor.execute(query)
    answer = cursor.fetch_record_batch()

    def next_answer(next_query: str) -> pa.RecordBatchReader:
        cursor.execute(next_query)
        return cursor.fetch_record_batch()

    def batches() -> Iterator[pa.RecordBatch]:
        for batches_of_query in chain([answer], map(next_answer, left)):
            for batch in batches_of_query:
                batch_bytes.append(batch.nbytes)
                yield batch

    return pa.RecordBatchReader.from_batches(answer.schema, batches())


@contextmanager
def _asked_to(purpose: str) -> Iterator[None]:
    try:
        yield
    except adbc_driver_manager.Error as error:
        raise PostgresQueryFailed(purpose, one_line(error), *_remedy(error)) from error


def _remedy(error: adbc_driver_manager.Error) -> list[str]:
    """Say what helps, where it is not the usual."""
    if error.sqlstate == INSUFFICIENT_PRIVILEGE:
        return ["give the user of DATABASE_URL that right"]
    # the driver knows no state of a connection that is gone
    return [] if error.sqlstate else ["if the server ended the connection, its log says why; then try again"]


def _run(connection: Any, statement: str) -> None:  # noqa: ANN401 (the driver has no types)
    with connection.cursor() as cursor:
        cursor.execute(statement)


def _fetch(connection: Any, query: str) -> list[tuple[Any, ...]]:  # noqa: ANN401 (the driver has no types)
    with connection.cursor() as cursor:
        cursor.execute(query)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def _conninfo(database_url: str) -> tuple[str, str]:
    """Check the URL before a driver sees it: libpq repeats one that it cannot read, password and all."""
    try:
        parts = conninfo_to_dict(database_url)
    except psycopg.ProgrammingError:
        raise PostgresUnreachable("DATABASE_URL", "it is not a URL like postgresql://…") from None
    address = f"{parts.get('host', 'localhost')}:{parts.get('port', 5432)}/{parts.get('dbname', '')}"
    return make_conninfo(database_url, **{"connect_timeout": CONNECT_TIMEOUT_SECONDS, **parts}), address
