"""The archive folder: where sealed files and the manifest lie, and how a file gets there whole. No rows here."""

import hashlib
import os
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path

NOT_IN_PLACE_YET = ".new"


def archive_folder(warehouse_path: Path) -> Path:
    """Return `archive` of the home folder that holds `warehouse/warehouse.duckdb`."""
    return warehouse_path.absolute().parent.parent / "archive"


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


def unnamed_parts(archive: Path, named: Iterable[str]) -> list[str]:
    """Find the whole files that `named` does not name, as paths relative to the archive folder.

    A seal that was stopped just before its commit leaves one, and a manifest that lost lines leaves many.
    """
    known = set(named)
    found = (path.relative_to(archive).as_posix() for path in archive.rglob("part-*.parquet"))
    return sorted(path for path in found if path not in known)


def set_aside(path: Path) -> None:
    """Give a file that nothing names a name that nothing takes for a part's; it may be all that is left of a day."""
    aside = path.with_name(f"{path.name}.unnamed-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    path.rename(aside)
    _fsync(path.parent)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
