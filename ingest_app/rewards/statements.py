"""The named statements of the ledger, and how they are asked: again where that is safe. No SQL stands here."""

import logging
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from sqlalchemy.exc import DBAPIError

from ingest_app.rewards.connections import Connection, ConnectionLost, Connections
from ingest_app.rewards.errors import LedgerUnavailable

# of each worker: those that wait for one disk are written together
CONNECTIONS = 16
TRIES = 5
SHORTEST_PAUSE_SECONDS = 0.005
# two in each other's way, of which Postgres gave one up
GIVEN_UP = (errors.DeadlockDetected, errors.SerializationFailure)

Found = TypeVar("Found")
_NAME = re.compile(r"^-- (\w+) --$", re.MULTILINE)
_VALUE = re.compile(r"%\((\w+)\)s")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as Postgres numbers its values, and their names in that order."""

    name: bytes
    text: bytes
    values: tuple[str, ...]


class Statements:
    """Asks statements that are safe to repeat, over a few connections."""

    def __init__(self, database_url: str, connections: int = CONNECTIONS) -> None:
        """Connect to nothing yet. Raises DatabaseUnreachable where the URL is none of Postgres."""
        self._connections = Connections(database_url, connections)

    def move(self, statement: Statement, values: Mapping[str, object]) -> list[bytes | None]:
        """Return the row that a statement answers, its values as texts.

        Raises LedgerUnavailable, or psycopg.Error where Postgres refuses it.
        """
        # as texts, which the statement casts: of numbers each size would be prepared anew
        given = [None if (value := values[name]) is None else str(value).encode() for name in statement.values]
        return self._ask(lambda connection: connection.run(statement.name, statement.text, given))

    def read(self, statement: bytes, values: Mapping[str, object]) -> Sequence[dict[str, Any]]:
        """Return the rows that a statement answers. Raises as `move` does."""
        return self._ask(lambda connection: connection.read(statement, values))

    def close(self) -> None:
        """Close the connections."""
        self._connections.close()

    def _ask(self, ask: Callable[[Connection], Found]) -> Found:
        given_up = 0
        # after a restart of the server each connection may be one of before
        for _ in range(TRIES + self._connections.most):
            try:
                with self._connections.lend() as connection:
                    return ask(connection)
            except ConnectionLost:
                continue
            except GIVEN_UP:
                given_up += 1
                if given_up == TRIES:
                    break
                _pause(given_up)
            except (psycopg.OperationalError, errors.ReadOnlySqlTransaction, DBAPIError) as error:
                log.error("the ledger cannot be asked: %s", type(error).__name__)
                raise LedgerUnavailable from error
        raise LedgerUnavailable


@cache
def read_statements(file_name: str) -> dict[str, bytes]:
    """Read the statements of a file beside this one, by their names, with their values as psycopg has them."""
    _, *parts = _NAME.split(files("ingest_app.rewards").joinpath(file_name).read_text(encoding="utf-8"))
    return dict(zip(parts[::2], (body.strip().encode() for body in parts[1::2]), strict=True))


@cache
def numbered_statements(file_name: str) -> dict[str, Statement]:
    """Read the same, with their values numbered, as Postgres has them."""
    return {name: _numbered(name, text.decode()) for name, text in read_statements(file_name).items()}


def _numbered(name: str, text: str) -> Statement:
    values = tuple(dict.fromkeys(_VALUE.findall(text)))
    numbered = _VALUE.sub(lambda found: f"${values.index(found[1]) + 1}", text)
    return Statement(name.encode(), numbered.encode(), values)


def _pause(given_up: int) -> None:
    # by chance, so that two that met do not meet again
    time.sleep(random.uniform(0, SHORTEST_PAUSE_SECONDS * 2**given_up))  # noqa: S311 # nobody gains by guessing it
