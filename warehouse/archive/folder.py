"""The archive folder: where sealed files and the manifest lie, and how a file gets there whole. No rows here."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from datetime import date
from pathlib import Path

import duckdb

from warehouse.queries import archive_query

NOT_IN_PLACE_YET = ".new"


def archive_folder(warehouse_path: Path) -> Path:
    """Return `archive` of the home folder that holds `warehouse/warehouse.duckdb`."""
    return warehouse_path.absolute().parent.parent / "archive"


def archive_of(warehouse: duckdb.DuckDBPyConnection) -> Path:
    """Return the archive folder that belongs to an open warehouse file."""
    [(path,)] = warehouse.execute(archive_query("warehouse_path")).fetchall()
    return archive_folder(Path(path))


def part_path(table_name: str, day: date, part: int) -> str:
    """Return the name of a part, relative to the archive folder."""
    return f"{table_name}/received_date={day}/part-{part}.parquet"


def unfinished(path: Path) -> Path:
    """Return the name under which a file is written until it is whole."""
    return path.with_name(path.name + NOT_IN_PLACE_YET)


def put_in_place(path: Path) -> None:
    """Give a written file its name; once this returns, file and name survive a power cut."""
    _fsync(unfinished(path))
    os.replace(unfinished(path), path)
    _fsync(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and those above it, each durable."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _fsync(folder.parent)


def remove_unfinished(archive: Path) -> None:
    """Remove what a seal that was killed left half-written."""
    for path in archive.rglob(f"*{NOT_IN_PLACE_YET}"):
        path.unlink()


def sha256_of(path: Path) -> str:
    """Hash a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_besides(archive: Path, named: Iterable[str]) -> Iterator[str]:
    """Find the files that `named` does not name, as paths relative to the archive folder."""
    known = set(named)
    for path in sorted(archive.rglob("*")):
        relative = path.relative_to(archive).as_posix()
        if path.is_file() and relative not in known:
            yield relative


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
