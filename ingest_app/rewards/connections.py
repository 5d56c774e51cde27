"""The ledger's own connections to Postgres, each lent to one request at a time. What is asked over them is not here.

SQLAlchemy opens them, so that they are like all others. Its pool and psycopg's cursors are left out where points move:
they took five times as long as libpq does, and a third of the request.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import BoundedSemaphore
from typing import Any, cast

import psycopg
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus
from psycopg.rows import dict_row
from sqlalchemy import Engine

from ingest_app.database import POOL_WAIT_SECONDS, SERVING, make_engine
from ingest_app.rewards.errors import LedgerUnavailable

# one plan for any values, as planning takes longer than a move. All rows are found by a key, so no plan may read a
# whole table, which it would where the table was empty when the plan was made. What is answered as done is on the disk
SESSION = f"{SERVING} -c synchronous_commit=on -c plan_cache_mode=force_generic_plan -c enable_seqscan=off"


class ConnectionLost(Exception):
    """The connection broke, or the server ended it: what was asked may have been done or not."""


class Connection:
    """One connection, in autocommit, and the names of the statements that it has prepared."""

    def __init__(self, engine: Engine) -> None:
        """Connect. Raises sqlalchemy's DBAPIError."""
        opened = engine.raw_connection()
        self.psycopg = cast("psycopg.Connection[dict[str, Any]]", opened.driver_connection)
        self.psycopg.row_factory = dict_row
        opened.detach()
        self._prepared: set[bytes] = set()

    def run(self, name: bytes, statement: bytes, values: Sequence[bytes | None]) -> list[bytes | None]:
        """Run a statement that answers one row, prepared the first time: one round trip. Raises psycopg.Error."""
        libpq = self.psycopg.pgconn
        if name not in self._prepared:
            prepared = libpq.prepare(name, statement)
            if prepared.status != ExecStatus.COMMAND_OK:
                raise error_from_result(prepared)
            self._prepared.add(name)
        result = libpq.exec_prepared(name, cast("Sequence[bytes]", values))
        if result.status != ExecStatus.TUPLES_OK:
            raise error_from_result(result)
        return [result.get_value(0, column) for column in range(result.nfields)]

    def read(self, statement: bytes, values: Mapping[str, object]) -> list[dict[str, Any]]:
        """Run a statement that answers any rows. Raises psycopg.Error."""
        return self.psycopg.execute(statement, values).fetchall()


class Connections:
    """A bounded number of connections, opened when they are first needed."""

    def __init__(self, database_url: str, most: int) -> None:
        """Connect to nothing yet. Raises DatabaseUnreachable where the URL is none of Postgres."""
        self.most = most
        self._engine = make_engine(database_url, options=SESSION, is_bare=True)
        self._idle: deque[Connection] = deque()
        self._free = BoundedSemaphore(most)

    @contextmanager
    def lend(self) -> Iterator[Connection]:
        """Lend a connection. Raises ConnectionLost, LedgerUnavailable where all are lent for long, DBAPIError."""
        if not self._free.acquire(timeout=POOL_WAIT_SECONDS):
            raise LedgerUnavailable
        try:
            connection = self._take() or Connection(self._engine)
            try:
                yield connection
            except psycopg.Error as error:
                if _is_lost(connection, error):
                    connection.psycopg.close()
                    raise ConnectionLost from error
                raise
            finally:
                if not connection.psycopg.closed:
                    self._idle.append(connection)
        finally:
            self._free.release()

    def close(self) -> None:
        """Close those that nobody uses."""
        while connection := self._take():
            connection.psycopg.close()

    def _take(self) -> Connection | None:
        # the one that was used last: its server process is warm
        try:
            return self._idle.pop()
        except IndexError:
            return None


def _is_lost(connection: Connection, error: psycopg.Error) -> bool:
    return connection.psycopg.closed or (error.sqlstate or "").startswith(("08", "57P"))
