"""One sealed file as the manifest names it: a line of JSON that carries the hash of the line before. No disk here.

A line may replace an earlier one: the file was written again without some of its rows. The earlier line stays, and
with it the chain; its file is gone. The lines that no other replaces, and their files, are live.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

NO_LINE_BEFORE = "0" * 64
# left out of a line where they are empty, so that lines of before they were thought of keep their hash
OPTIONAL = ("replaces", "reason")
_VERSION = re.compile(r"(?:\.v(\d+))?\.parquet$")


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """How many rows, and the order-free sum of their hashes: the same in Postgres, DuckDB and a file."""

    row_count: int
    digest: int

    def __add__(self, other: "Fingerprint") -> "Fingerprint":
        return Fingerprint(self.row_count + other.row_count, self.digest + other.digest)


@dataclass(frozen=True, slots=True)
class SealedFile:
    """A Parquet file with rows of one table received on one day (UTC); late rows make a further part of it.

    `path` is relative to the archive folder. `digest` is the fingerprint's sum, a text because JSON's readers
    round numbers of that size; `columns` gives name and raw type of all columns in order. Times are ISO 8601 in
    UTC, and empty where there is no row. `source` names the Postgres that the rows came from. `replaces` is the hash
    of the line whose file this one was made from, without some of its rows, and `reason` says why.
    """

    table_name: str
    received_date: str
    part: int
    path: str
    row_count: int
    digest: str
    sha256: str
    byte_count: int
    min_created_at: str
    max_created_at: str
    min_received_at: str
    max_received_at: str
    columns: dict[str, str]
    source: str
    sealed_at: str
    previous_hash: str
    replaces: str = ""
    reason: str = ""

    @property
    def day(self) -> date:
        """The day of receipt."""
        return date.fromisoformat(self.received_date)

    @property
    def fingerprint(self) -> Fingerprint:
        """What the rows were when they were sealed."""
        return Fingerprint(self.row_count, int(self.digest))

    @property
    def next_path(self) -> str:
        """The path of the file that replaces this one: `part-0.v1.parquet` after `part-0.parquet`, then `.v2`."""
        return _VERSION.sub(lambda found: f".v{int(found[1] or 0) + 1}.parquet", self.path)

    @property
    def hash(self) -> str:
        """What the next line carries as `previous_hash`."""
        return hashlib.sha256(_json(self._fields()).encode(errors="surrogateescape")).hexdigest()

    def line(self) -> str:
        """Return the manifest's line: all fields and, last, their hash."""
        return _json({**self._fields(), "hash": self.hash})

    def _fields(self) -> dict[str, Any]:
        stated = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in stated.items() if value or name not in OPTIONAL}


def from_line(line: str) -> SealedFile:
    """Read a line that is known to be good."""
    stated: dict[str, Any] = json.loads(line)
    del stated["hash"]
    return SealedFile(**stated)


def from_foreign_line(line: str) -> SealedFile:
    """Read a line that anybody may have changed. Raises ValueError, which says why it is not as `line` wrote it."""
    try:
        entry = from_line(line)
    except (ValueError, TypeError, KeyError):
        raise ValueError("it is not a line of a manifest") from None
    if entry.line() != line:
        raise ValueError("it was changed, its hash says")
    return entry


def chained(lines: Iterable[str]) -> Iterator[SealedFile]:
    """Read lines one by one and hold each to those before. Raises ValueError where the chain is broken."""
    previous_hash, live = NO_LINE_BEFORE, dict[str, SealedFile]()
    for line in lines:
        entry = from_foreign_line(line)
        if entry.previous_hash != previous_hash:
            raise ValueError("the line before it is another than when it was written")
        take(live, entry)
        previous_hash = entry.hash
        yield entry


def take(live: MutableMapping[str, SealedFile], file: SealedFile) -> None:
    """Let a line be live, by its hash, and the one that it replaces no more. Raises ValueError where it must not."""
    if file.replaces:
        replaced = live.pop(file.replaces, None)
        if replaced is None:
            raise ValueError("it replaces a line that is not before it, or is replaced already")
        if _place(replaced) != _place(file):
            raise ValueError("it replaces a line of another table, day or part")
    live[file.hash] = file


def live_files(files: Iterable[SealedFile]) -> list[SealedFile]:
    """Leave out the lines that a later one replaces; of lines that are known to be good."""
    files = list(files)
    replaced = {file.replaces for file in files if file.replaces}
    return [file for file in files if file.hash not in replaced] if replaced else files


def _place(file: SealedFile) -> tuple[str, str, int]:
    return file.table_name, file.received_date, file.part


def _json(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
