"""One sealed file as the manifest names it: a line of JSON that carries the hash of the line before. No disk here."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

NO_LINE_BEFORE = "0" * 64


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
    UTC. `source` names the Postgres that the rows came from.
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

    @property
    def day(self) -> date:
        """The day of receipt."""
        return date.fromisoformat(self.received_date)

    @property
    def fingerprint(self) -> Fingerprint:
        """What the rows were when they were sealed."""
        return Fingerprint(self.row_count, int(self.digest))

    @property
    def hash(self) -> str:
        """What the next line carries as `previous_hash`."""
        return hashlib.sha256(_json(self._fields()).encode(errors="surrogateescape")).hexdigest()

    def line(self) -> str:
        """Return the manifest's line: all fields and, last, their hash."""
        return _json({**self._fields(), "hash": self.hash})

    def _fields(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}


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
    """Read lines one by one and hold each to the one before. Raises ValueError where the chain is broken."""
    previous_hash = NO_LINE_BEFORE
    for line in lines:
        entry = from_foreign_line(line)
        if entry.previous_hash != previous_hash:
            raise ValueError("the line before it is another than when it was written")
        previous_hash = entry.hash
        yield entry


def _json(fields: dict[str, Any]) -> str:
    return json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
