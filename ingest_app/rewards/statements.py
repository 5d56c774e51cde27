"""Asks Postgres the named statements of the ledger: one round trip each, again where that is safe. None stands here.

The connections are its own. Each prepares a statement once, with a plan for any values: planning would take longer than
the move itself. All rows are found by a key, also in a table that was empty when the plan was made, so no plan may read
a whole table. What is answered as done is on the server's disk.
"""

import logging
import random
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any, cast

import psycopg
from psycopg import errors
from psycopg.rows import dict_row
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from ingest_app.database import SERVING, make_engine
from ingest_app.rewards.errors import LedgerUnavailable

SESSION = f"{SERVING} -c synchronous_commit=on -c plan_cache_mode=force_generic_plan -c enable_seqscan=off"
CONNECTIONS = 8
TRIES = 5
SHORTEST_PAUSE_SECONDS = 0.005
# two in each other's way, of which Postgres gave one up
GIVEN_UP = (errors.DeadlockDetected, errors.SerializationFailure)

_NAME = re.compile(r"^-- (\w+) --$", re.MULTILINE)

log = logging.getLogger(__name__)


class Statements:
    """A pool of connections to ask over."""

    def __init__(self, database_url: str, connections: int = CONNECTIONS) -> None:
        """Make the pool; nothing is connected yet. Raises DatabaseUnreachable where the URL is none of Postgres."""
        self._engine = make_engine(database_url, connections, SESSION, is_bare=True)
        # each of the pool may be from before a restart of the server
        self._tries = TRIES + connections

    def ask(self, statement: bytes, values: Mapping[str, object]) -> list[dict[str, Any]]:
        """Return the rows that a statement answers, by the names of their columns.

        It is asked again where Postgres gave it up for another's, or the connection was lost: it must be one that is
        safe to repeat. Raises LedgerUnavailable, or psycopg.Error where Postgres refuses it.
        """
        # as texts, which the statement casts: of numbers each size would be prepared anew
        texts = {name: None if value is None else str(value) for name, value in values.items()}
        given_up = 0
        for _ in range(self._tries):
            try:
                with self._lent() as connection:
                    return connection.execute(statement, texts, prepare=True).fetchall()
            except GIVEN_UP:
                given_up += 1
                if given_up == TRIES:
                    break
                _pause(given_up)
            except psycopg.OperationalError as error:
                if not _is_lost(error):
                    raise _unavailable(error) from error
            except (DBAPIError, PoolTimeout) as error:
                raise _unavailable(error) from error
        raise LedgerUnavailable

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    @contextmanager
    def _lent(self) -> Iterator[psycopg.Connection[Any]]:
        lent = self._engine.raw_connection()
        connection = cast("psycopg.Connection[Any]", lent.driver_connection)
        connection.row_factory = dict_row
        try:
            yield connection
        finally:
            if connection.closed:
                lent.invalidate()
            lent.close()


@cache
def read_statements(file_name: str) -> dict[str, bytes]:
    """Read the statements of a file beside this one, by their names."""
    _, *parts = _NAME.split(files("ingest_app.rewards").joinpath(file_name).read_text(encoding="utf-8"))
    return dict(zip(parts[::2], (body.strip().encode() for body in parts[1::2]), strict=True))


def _is_lost(error: psycopg.OperationalError) -> bool:
    """Tell a connection that broke, or that the server ended, from a statement that the server refused."""
    return error.sqlstate is None or error.sqlstate.startswith(("08", "57P"))


def _pause(given_up: int) -> None:
    # by chance, so that two that met do not meet again
    time.sleep(random.uniform(0, SHORTEST_PAUSE_SECONDS * 2**given_up))  # noqa: S311 # nobody gains by guessing it


def _unavailable(error: Exception) -> LedgerUnavailable:
    log.error("the ledger cannot be asked: %s", type(error).__name__)
    return LedgerUnavailable()
