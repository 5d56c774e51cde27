"""Where sealed files and the manifest lie, and how a file gets there whole. What is in them is not known here.

A file has a name, a relative path with `/`: `tracking_events/received_date=2026-01-01/part-0.parquet`. It is written
under another one (`staging`) and then has its own at once and for good (`put_in_place`), or not at all.
"""

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path

import duckdb

from warehouse.archive.address import absolute_address, is_s3, read_s3_address
from warehouse.durable import fsync
from warehouse.tables import EVENT_TABLES

NOT_IN_PLACE_YET = ".new"
# somebody may keep files of their own there: only what has a name of ours is touched
PART = re.compile(rf"(?:{'|'.join(EVENT_TABLES)})/received_date=[^/]+/part-[^/]+\.parquet")
# what several machines read and write stands in a folder of its own: its listing can be long
LAKE, HOT, GIVEN = "lake", "lake/hot", "lake/tables"
OURS = re.compile(
    rf"manifest\.jsonl|doctor\.probe|only-here/[^/]+\.parquet|{PART.pattern}(?:\.unnamed-[^/]+)?"
    rf"|{HOT}/(?:{'|'.join(EVENT_TABLES)})/received_date=[^/]+/[^/]+\.parquet|{GIVEN}/[^/]+/[^/]+\.parquet"
)


@dataclass(frozen=True, slots=True)
class Listed:
    """What a listing says of a file: its size in bytes, and when it was changed, in nanoseconds since 1970."""

    size: int
    modified_ns: int


class Archive(ABC):
    """A place for files by name. A method that finds no such file raises FileNotFoundError, unless it says otherwise.

    `address` is for messages, without a credential in it.
    """

    address: str

    @abstractmethod
    def listing(self, under: str = "") -> Mapping[str, Listed]:
        """Return all files that are in place, by name, in one pass; none where there is no archive yet.

        With `under` those below that folder; without, all but those of the lake.
        """

    @abstractmethod
    def look(self, name: str) -> Listed | None:
        """Return what a listing would say of one file, None where there is none."""

    @abstractmethod
    def staging(self, name: str) -> Path:
        """Return the local path to write a file's new content to; its folder is made."""

    @abstractmethod
    def put_in_place(self, name: str) -> None:
        """Give what is in staging its name, over what has it; once this returns, it survives a power cut."""

    @abstractmethod
    def local(self, name: str) -> AbstractContextManager[Path]:
        """Give a local path with the content as it is in the archive, for as long as the block lasts."""

    @abstractmethod
    def remove(self, name: str) -> None:
        """Remove a file and what is in staging for it, as far as they are there; once this returns, it is durable."""

    @abstractmethod
    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name, for good."""

    @abstractmethod
    def remove_unfinished(self) -> None:
        """Remove what footfall left in staging; the caller holds the writer lock, so it is of one that was killed."""

    @abstractmethod
    def url(self, name: str) -> str:
        """Return the file's name in DuckDB's `read_parquet` and in messages."""

    @abstractmethod
    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Let a connection, and others of this process to the same database, read these urls."""

    def read_text(self, name: str) -> str | None:
        """Read a text, None where there is none. Bytes that are no text stay in it (surrogateescape)."""
        try:
            with self.local(name) as path:
                return path.read_text(encoding="utf-8", errors="surrogateescape")
        except FileNotFoundError:
            return None

    def set_aside(self, name: str) -> None:
        """Give a file that nothing names a name that nothing takes for a part's; it may be all there is of a day."""
        self.rename(name, f"{name}.unnamed-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")

    def unnamed_parts(self, named: Iterable[str]) -> list[str]:
        """Find the whole parts that `named` does not name.

        A seal that was stopped just before its commit leaves one, and a manifest that lost lines leaves many.
        """
        known = set(named)
        return sorted(name for name in self.listing() if name not in known and PART.fullmatch(name))


class FolderArchive(Archive):
    """A folder of a local disk."""

    def __init__(self, folder: Path) -> None:
        """Make nothing: a folder that is not there yet is made with its first file."""
        self._folder = folder
        self.address = str(folder)

    def listing(self, under: str = "") -> Mapping[str, Listed]:
        """Walk through the folder."""
        found = ((path, path.stat()) for path in self._walk(under) if path.is_file())
        return {
            path.relative_to(self._folder).as_posix(): Listed(stat.st_size, stat.st_mtime_ns)
            for path, stat in found
            if path.suffix != NOT_IN_PLACE_YET
        }

    def look(self, name: str) -> Listed | None:
        """Ask the disk."""
        try:
            stat = self._path(name).stat()
        except FileNotFoundError:
            return None
        return Listed(stat.st_size, stat.st_mtime_ns)

    def staging(self, name: str) -> Path:
        """Return a path beside the file's own, on the same disk, so that it can be swapped in."""
        _make_folder(self._path(name).parent)
        return self._unfinished(name)

    def put_in_place(self, name: str) -> None:
        """Swap it in; content, then name are durable."""
        path = self._path(name)
        fsync(self._unfinished(name))
        os.replace(self._unfinished(name), path)
        fsync(path.parent)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Give the file itself."""
        yield self._path(name)

    def remove(self, name: str) -> None:
        """Remove both, for good: a person may have been in it."""
        self._unfinished(name).unlink(missing_ok=True)
        if self._path(name).exists():
            self._path(name).unlink()
            fsync(self._path(name).parent)

    def rename(self, name: str, new_name: str) -> None:
        """Rename it within its folder or into another one."""
        _make_folder(self._path(new_name).parent)
        self._path(name).rename(self._path(new_name))
        fsync(self._path(new_name).parent)
        fsync(self._path(name).parent)

    def remove_unfinished(self) -> None:
        """Remove what a seal that was killed left half-written."""
        for path in chain(self._walk(""), self._walk(HOT), self._walk(GIVEN)):
            if is_unfinished(path.relative_to(self._folder).as_posix()):
                path.unlink()

    def url(self, name: str) -> str:
        """Return the absolute path."""
        return str(self._path(name))

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Do nothing: DuckDB reads local files."""

    def _walk(self, under: str) -> Iterator[Path]:
        tops = [self._folder / under] if under else [path for path in self._folder.glob("*") if path.name != LAKE]
        return chain.from_iterable(chain([top], top.rglob("*")) for top in tops)

    def _path(self, name: str) -> Path:
        return self._folder / name

    def _unfinished(self, name: str) -> Path:
        path = self._path(name)
        return path.with_name(path.name + NOT_IN_PLACE_YET)


def open_archive(address: str | None, warehouse_path: Path) -> Archive:
    """Return the archive at `address`; by default the folder `archive` of the home that holds the warehouse.

    Raises ArchiveAddressWrong. It makes nothing and asks nothing.
    """
    home = warehouse_path.absolute().parent.parent
    if address and is_s3(address):
        # only then: pyarrow's filesystems take half a second to load
        from warehouse.archive.s3 import S3Archive

        return S3Archive(read_s3_address(address), home / "archive-staging")
    return FolderArchive(Path(absolute_address(address) or home / "archive"))


def part_name(table_name: str, received_date: str, part: int) -> str:
    """Return the name of a part."""
    return f"{table_name}/received_date={received_date}/part-{part}.parquet"


def is_unfinished(name: str) -> bool:
    """Tell whether it is a file of footfall's that does not have its own name yet."""
    return name.endswith(NOT_IN_PLACE_YET) and OURS.fullmatch(name.removesuffix(NOT_IN_PLACE_YET)) is not None


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, each durable."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        fsync(folder.parent)
