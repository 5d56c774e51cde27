"""The export of a person from end to end: the spool's records and `warehouse.people.export`, into a file or to stdout.

It is written whole or not at all, and readable by nobody else.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO

import psycopg

from footfall.settings import Settings
from ingest_app.spool.search import search_spools
from warehouse.errors import WriterBusy, one_line
from warehouse.people.erase import find_person, opened
from warehouse.people.errors import ExportFailed
from warehouse.people.export import Row, drained_seqs, write_export
from warehouse.people.matching import record_names
from warehouse.people.subject import Person, Subject
from warehouse.postgres import connect
from warehouse.writer import writer_lock

LOCK_WAIT_SECONDS = 60.0


def export(
    settings: Settings, database_url: str, subject: Subject, output: Path | None, tell: Callable[[str], None]
) -> int:
    """Write all that is held on a person; return how many rows that is. `tell` hears whom it waits for.

    Raises ExportFailed, WriterBusy, and what an archive may raise.
    """
    try:
        with (
            _written_whole(output, settings.home) as out,
            connect(database_url) as connection,
            _lock(settings, tell),
            opened(settings.warehouse_path, settings.archive_address) as (warehouse, archive),
        ):
            connection.execute("SET TimeZone = 'UTC'")
            person = find_person(connection, warehouse, subject)
            # first: what is drained meanwhile is in Postgres when that is read
            spooled = _waiting(connection, settings.home / "spool", person)
            return write_export(out, connection, warehouse, archive, subject, person, spooled)
    except OSError as error:
        raise ExportFailed(output or "stdout", one_line(error)) from error


def _waiting(connection: psycopg.Connection, folder: Path, person: Person) -> list[Row]:
    """Read the person's records that no drainer has taken yet."""
    drained = drained_seqs(connection)
    return [
        {"kind": one.kind, "record": one.row}
        for one in search_spools(folder, partial(record_names, person))
        if one.seq > drained.get(Path(one.file).stem, 0)
    ]


@contextmanager
def _lock(settings: Settings, tell: Callable[[str], None]) -> Iterator[None]:
    """Take the writer lock at once, or say who has it and wait."""
    lock = partial(writer_lock, settings.warehouse_path, purpose="export a person")
    with ExitStack() as held:
        try:
            held.enter_context(lock())
        except WriterBusy as error:
            tell(f"waiting for at most {LOCK_WAIT_SECONDS:.0f} s: {error}")
            held.enter_context(lock(LOCK_WAIT_SECONDS))
        yield


@contextmanager
def _written_whole(output: Path | None, home: Path) -> Iterator[IO[str]]:
    """Give a temporary file (mode 0600) that gets its name, or is copied to stdout, when all is in it."""
    folder = home if output is None else output.absolute().parent
    descriptor, made = tempfile.mkstemp(dir=folder, prefix=".export")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if output is not None:
            os.replace(made, output)
            return
        with open(made, encoding="utf-8") as whole:
            shutil.copyfileobj(whole, sys.stdout)
    finally:
        if os.path.exists(made):
            os.unlink(made)
