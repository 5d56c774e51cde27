"""The way to Postgres: one frozen moment of it, read as Arrow, and a plain connection. No DuckDB here."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import adbc_driver_manager
import psycopg
import pyarrow as pa
from adbc_driver_postgresql import dbapi
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from warehouse.errors import PostgresQueryFailed, PostgresUnreachable, one_line
from warehouse.queries import postgres_query

CONNECT_TIMEOUT_SECONDS = 5


@dataclass(frozen=True)
class Snapshot:
    """One moment of one Postgres database.

    `text` is the server's `pg_snapshot`; `system_identifier` names the cluster, `database_oid` the
    database in it: together they tell a restored or another database from the one that was loaded.
    """

    text: str
    system_identifier: str
    database_oid: int
    _connection: Any = field(repr=False)

    @property
    def xmax(self) -> int:
        """Give the first transaction id that was not given out at this moment."""
        return snapshot_xmax(self.text)

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """Fetch a small answer whole."""
        return _fetch(self._connection, query)

    @contextmanager
    def stream(self, query: str) -> Iterator[pa.RecordBatchReader]:
        """Read an answer of any size, batch by batch; it is sent as COPY in binary format."""
        with self._connection.cursor() as cursor:
            cursor.execute(query)
            yield cursor.fetch_record_batch()


def snapshot_xmax(snapshot: str) -> int:
    """Give xmax of a `pg_snapshot`'s text, `xmin:xmax:xip,…`."""
    return int(snapshot.split(":")[1])


@contextmanager
def open_snapshot(database_url: str) -> Iterator[Snapshot]:
    """Hold one moment of the database, for reading only. Raises PostgresUnreachable."""
    conninfo, address = _conninfo(database_url)
    try:
        connection = dbapi.connect(conninfo, autocommit=True)
    except adbc_driver_manager.Error as error:
        raise PostgresUnreachable(address, one_line(error)) from error
    with connection:
        try:
            with connection.cursor() as cursor:
                cursor.execute(postgres_query("begin"))
            [(text, system_identifier, database_oid)] = _fetch(connection, postgres_query("snapshot"))
        except adbc_driver_manager.Error as error:
            raise PostgresQueryFailed("tell its snapshot", one_line(error)) from error
        yield Snapshot(text, system_identifier, database_oid, connection)


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
