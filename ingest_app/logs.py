"""How the write side logs: JSON lines on stdout, for granian's workers and the drainer alike (`logging.json`).

No line holds what people sent. An exception's text often does (`invalid input for type uuid: "…"`, `Key (…)=(…)`), so a
log has its type and its place, and of Postgres's errors the SQLSTATE. What is logged is each module's business.
"""

import json
import logging
import logging.config
import sqlite3
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from traceback import TracebackException
from types import TracebackType
from typing import Any

import psycopg
from pythonjsonlogger.msgspec import MsgspecFormatter
from sqlalchemy.exc import DBAPIError

CONFIG = Path(__file__).with_name("logging.json")
# what Postgres says of these is about values: data exceptions, broken constraints
TELLING_CLASSES = ("22", "23")

log = logging.getLogger(__name__)

Excepted = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class JsonLines(MsgspecFormatter):
    """A line of JSON a record: time, level, logger, event, then what `extra` gave."""

    def __init__(self) -> None:
        super().__init__(
            ["levelname", "name", "process", "message"],
            rename_fields={
                "levelname": "level",
                "name": "logger",
                "process": "pid",
                "message": "event",
                "exc_info": "exception",
            },
        )

    def add_fields(self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]) -> None:
        """Put the time first."""
        log_data["time"] = datetime.fromtimestamp(record.created, UTC)
        super().add_fields(log_data, record, message_dict)

    def formatException(self, ei: Excepted) -> str:
        """Tell what kind of error it was and where, of its causes too; not its text."""
        return describe_with_place(ei[1]) if ei[1] else ""


def configure_logs() -> None:
    """Log as granian's workers do; what nobody catches, too."""
    logging.config.dictConfig(json.loads(CONFIG.read_text()))
    sys.excepthook = lambda _, error, __: log.critical("ended by an error", exc_info=error)
    threading.excepthook = lambda failed: log.error("a thread ended by an error", exc_info=failed.exc_value)


def describe(error: BaseException) -> str:
    """Say in one line what went wrong, without what people sent."""
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    name = type(cause).__name__
    if isinstance(cause, psycopg.Error):
        return f"{name}: {_of_postgres(cause)}"
    if isinstance(cause, sqlite3.Error):
        return f"{name}: {getattr(cause, 'sqlite_errorname', 'unknown')}"
    if isinstance(cause, OSError) and cause.strerror:
        return f"{name}: {cause.strerror}"
    return name


def describe_with_place(error: BaseException) -> str:
    """Say the same with the lines of code that led there, causes first."""
    lines: list[str] = []
    found: BaseException | None = error
    seen: set[int] = set()
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        frames = TracebackException.from_exception(found, compact=True, limit=-20).stack.format()
        lines = ["Traceback (most recent call last):\n", *frames, f"{describe(found)}\n", *lines]
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)
    return "".join(lines).rstrip()


def _of_postgres(error: psycopg.Error) -> str:
    """Return the SQLSTATE and the first message, without DETAIL, where the values stand."""
    if error.sqlstate is None:
        # libpq's own, of a connection: it names the server, at most the user
        return " ".join(str(error).split())
    if error.sqlstate.startswith(TELLING_CLASSES):
        return error.sqlstate
    return f"{error.sqlstate} {error.diag.message_primary}"
