"""What every imported file is to the writer: batches of rows, and how a batch is written. No format stands here."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sqlalchemy import Connection

from ingest_app.kinds import Row

# measured: Postgres plans and joins 1,000 to 4,000 rows of JSON faster than more or fewer
ROWS_PER_BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of a file. `share_read` is how much of the file lies behind, 0 to 1; `faults` say what was left out."""

    rows: list[Row]
    read_count: int
    share_read: float
    visitors: list[Row] = field(default_factory=list)
    bot_count: int = 0
    faults: list[str] = field(default_factory=list)


class Source(Protocol):
    """A file to import."""

    @property
    def path(self) -> Path:
        """Where it is."""

    def check(self) -> None:
        """Raise ImportRefused where a first look shows that the file cannot be imported."""

    def batches(self) -> Iterator[Batch]:
        """Read the file. Raises ImportRefused where it turns out to be wrong."""

    def write(self, connection: Connection, batch: Batch) -> int:
        """Write a batch in the caller's transaction and return how many of its rows were new or changed."""
