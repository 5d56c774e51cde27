"""Which sealed files a restore takes, each read and proved before a row of it is written. Nothing is written here.

The writer lock is held from the choice of files until what was made of them has its name: whoever is erased in between
would come back, and an expire would take what has just come.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path

from warehouse.archive.errors import DaysNotArchived, SealedFileDamaged
from warehouse.archive.fingerprint import file_fingerprint, sha256_of
from warehouse.archive.manifest import read_manifest
from warehouse.archive.sealed_file import SealedFile
from warehouse.archive.sources import require_size
from warehouse.archive.store import Archive
from warehouse.columns import RAW_TYPES, declared_columns
from warehouse.writer import writer_lock

NEAREST_DAYS = 4


@dataclass(frozen=True, slots=True)
class RestoredDay:
    """A day of a table as it was restored: how many rows its files have, and how many of them were not there yet."""

    table_name: str
    day: date
    row_count: int
    written_row_count: int


@contextmanager
def chosen(
    warehouse_path: Path,
    archive: Archive,
    days: Sequence[date],
    table_name: str | None = None,
    *,
    wait_seconds: float = 0,
) -> Iterator[list[SealedFile]]:
    """Hold the writer lock for as long as a restore lasts, and give its files. Raises WriterBusy, and as `choose`."""
    with writer_lock(warehouse_path, wait_seconds, purpose="restore"):
        yield choose(archive, days, table_name)


def choose(archive: Archive, days: Sequence[date], table_name: str | None = None) -> list[SealedFile]:
    """Return the files of these days, of one table or of all, table by table, the oldest first.

    Raises DaysNotArchived, which names the nearest days that are there; ManifestDamaged.
    """
    files = [file for file in read_manifest(archive) if table_name in {None, file.table_name}]
    there = {file.day for file in files}
    if missing := sorted(set(days) - there):
        nearest = sorted(there, key=lambda day: abs(day - missing[0]))[:NEAREST_DAYS]
        raise DaysNotArchived(missing, table_name, sorted(nearest))
    return sorted((file for file in files if file.day in days), key=lambda one: (one.table_name, one.day, one.part))


def by_day(files: Sequence[SealedFile]) -> Iterator[tuple[str, date, list[SealedFile]]]:
    """Put the parts of each table's day together."""
    for (table_name, day), parts in groupby(files, key=lambda file: (file.table_name, file.day)):
        yield table_name, day, list(parts)


@contextmanager
def proved(archive: Archive, files: Sequence[SealedFile]) -> Iterator[Mapping[str, Path]]:
    """Give local paths of all files, by name, once each is as it was sealed. Raises SealedFileDamaged."""
    with ExitStack() as copies:
        paths = {}
        for file in files:
            require_size(archive, archive.look(file.path), file)
            path = copies.enter_context(archive.local(file.path))
            if sha256_of(path) != file.sha256 or file_fingerprint(path, file.columns)[0] != file.fingerprint:
                raise SealedFileDamaged(archive.url(file.path), "has changed since it was sealed")
            paths[file.path] = path
        yield paths


def read_items(file: SealedFile) -> dict[str, str]:
    """Write, for DuckDB, how each column of today's table is read from a file, with its raw type.

    An older footfall may have sealed fewer columns: they are left out.
    """
    declared = declared_columns()[file.table_name]
    # files keep a uuid as its sixteen bytes
    return {
        column: f"{column}::UUID" if kind == RAW_TYPES["uuid"] else f"{column}::{kind}"
        for column, kind in declared.items()
        if column in file.columns
    }
