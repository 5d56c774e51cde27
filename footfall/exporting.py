"""The export of a person from end to end: the spool's records and `warehouse.people.export`, into a file or to stdout.

It is written whole or not at all, and readable by nobody else.
"""

import errno
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
from warehouse.postgres import connect, keep_from_log
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
            keep_from_log(connection)
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
    """Give a file that gets its name, or is copied to stdout, when all is in it.

    Until then it has none, so that nothing of it is left however this process ends.
    """
    with _unnamed(home if output is None else output.absolute().parent) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())
        if output is not None:
            _name(file, output)
            return
        file.seek(0)
        shutil.copyfileobj(file, sys.stdout)


def _unnamed(folder: Path) -> IO[str]:
    """Open a file of mode 0600 that the system forgets with this process."""
    try:
        return os.fdopen(os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600), "w+", encoding="utf-8")
    except OSError as error:
        if error.errno not in {errno.EOPNOTSUPP, errno.EISDIR}:
            raise
        # a file system that can give no name later
        return tempfile.TemporaryFile("w+", encoding="utf-8", dir=folder)


def _name(file: IO[str], output: Path) -> None:
    """Let the file be what is at this path, or copy it where no name can be given to it."""
    output.unlink(missing_ok=True)
    try:
        # only with a folder's descriptor Python follows the link; of an absolute path it is not used
        os.link(f"/proc/self/fd/{file.fileno()}", output, src_dir_fd=file.fileno(), follow_symlinks=True)
    except FileNotFoundError:
        file.seek(0)
        with os.fdopen(os.open(output, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w", encoding="utf-8") as copy:
            shutil.copyfileobj(file, copy)
