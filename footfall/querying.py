"""Asks the published file what somebody wants to know. Nothing is changed, and how the answer looks stands elsewhere.

The SQL is not ours and may have been pasted: it sees the published file and nothing else of this machine, neither
other files nor the network. Whoever wants to join files of their own opens the published file with DuckDB itself.
"""

import json
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb

from footfall.errors import NotPublished, PublishedUnreadable, QueryRefused

# Postgres and the apps' events live on the same machine; what is larger spills to the temporary folder
MEMORY_LIMIT = "2GB"
LOCK_OUT = """
    SET TimeZone = 'UTC';
    SET memory_limit = '{memory_limit}';
    SET temp_directory = '{temp_folder}';
    SET errors_as_json = true;
    SET enable_progress_bar = false;
    SET allowed_paths = [{output}];
    SET enable_external_access = false
"""


@contextmanager
def open_published(path: Path, output: Path | None = None) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open the published file read-only; DuckDB may write to `output`, and reach nothing else.

    Raises NotPublished, PublishedUnreadable.
    """
    if not path.exists():
        raise NotPublished(path)
    with tempfile.TemporaryDirectory(prefix="footfall-query-") as temp_folder:
        try:
            # else a table that does not exist is looked for among the variables of this program
            connection = duckdb.connect(str(path), read_only=True, config={"python_enable_replacements": False})
        except duckdb.Error as error:
            raise PublishedUnreadable(path, _one_line(str(error))) from error
        with connection:
            allowed = _literal(str(output)) if output else ""
            connection.execute(
                LOCK_OUT.format(memory_limit=MEMORY_LIMIT, temp_folder=temp_folder.replace("'", "''"), output=allowed)
            )
            yield connection


def ask(connection: duckdb.DuckDBPyConnection, sql: str) -> duckdb.DuckDBPyRelation:
    """Run all statements but the last, and return that one's answer, which is computed when it is read.

    Raises QueryRefused, with the place in `sql`.
    """
    with _refusing(sql):
        statements = connection.extract_statements(sql)
        for statement in statements[:-1]:
            connection.execute(statement)
        if not statements:
            raise QueryRefused("there is no statement in it")
        answer: duckdb.DuckDBPyRelation | None = _relation(connection, statements[-1])
    if answer is None:
        raise QueryRefused("its last statement has no answer")
    return answer


def rows(answer: duckdb.DuckDBPyRelation, expression: str) -> Iterator[tuple[str | None, ...]]:
    """Compute `expression`, of texts, for each row of the answer; a long answer passes batch by batch.

    Raises QueryRefused.
    """
    with _refusing():
        for batch in answer.project(expression).to_arrow_reader(10_000):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def interruptible(connection: duckdb.DuckDBPyConnection, work: Callable[[], None]) -> None:
    """Do the work so that Ctrl-C ends it at once: DuckDB does not look for signals while it computes.

    In the main thread. Raises KeyboardInterrupt once the work has ended.
    """
    asked = threading.Event()
    # Python's own handler would raise wherever this thread happens to be, also where the work is only being handed over
    handler = signal.signal(signal.SIGINT, lambda *_: asked.set())
    try:
        with ThreadPoolExecutor(max_workers=1) as pool:
            running = pool.submit(work)
            while not wait([running], timeout=0.1).done:
                # again and again: it is not heard where the query is only about to begin
                if asked.is_set():
                    connection.interrupt()
    finally:
        signal.signal(signal.SIGINT, handler)
    if asked.is_set():
        raise KeyboardInterrupt
    running.result()


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what DuckDB says into QueryRefused."""
    with _refusing():
        yield


def _relation(connection: duckdb.DuckDBPyConnection, statement: Any) -> duckdb.DuckDBPyRelation | None:  # noqa: ANN401
    try:
        return connection.sql(statement)
    except (duckdb.BinderException, duckdb.CatalogException):
        # says the same again, but where
        connection.execute(statement)
        raise


@contextmanager
def _refusing(sql: str | None = None) -> Iterator[None]:
    try:
        yield
    except duckdb.Error as error:
        message, position = _told(str(error))
        place = "" if sql is None or position is None else _place(sql, position)
        raise QueryRefused(_one_line(message), place) from error


def _told(message: str) -> tuple[str, int | None]:
    """Take DuckDB's error apart: what is wrong, and at which byte of the SQL where it knows."""
    kind, _, rest = message.partition(": ")
    if not rest.startswith("{"):
        return message, None
    told: dict[str, str] = json.loads(rest)
    position = told.get("position")
    return f"{kind}: {told['exception_message']}", None if position is None else int(position)


def _place(sql: str, position: int) -> str:
    before = sql.encode()[:position].decode(errors="ignore")
    line, column = before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1
    return f" at line {line}, column {column}"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _one_line(text: str) -> str:
    return " ".join(text.split())
