"""Copies of rows that killed processes left in the home folder: no search reads them, so they are removed or told.

The caller holds the writer lock: nobody who writes one is at work. What `footfall archive verify`, which needs no lock,
has just downloaded goes too, and it says that it could not read that file.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from warehouse.aged_files import AGED_FILES

UNFINISHED = AGED_FILES["unfinished_files"]


def remove_leftovers(warehouse_path: Path) -> int:
    """Remove them, however young, and return how many there were. Raises OSError."""
    return UNFINISHED.remove(_home_of(warehouse_path), datetime.max.replace(tzinfo=UTC), dry_run=False).removed


def find_leftovers(warehouse_path: Path) -> Iterator[str]:
    """Name them by their paths in the home folder."""
    home = _home_of(warehouse_path)
    yield from (thing.path.relative_to(home).as_posix() for thing in UNFINISHED.found(home))


def _home_of(warehouse_path: Path) -> Path:
    return warehouse_path.absolute().parent.parent
