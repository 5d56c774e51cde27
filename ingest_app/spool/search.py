"""Which records of this node's spools a question is true of, drained ones too, as long as their file is there.

What the question is, others know: this reads, and changes nothing.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ingest_app.spool.errors import SpoolDamaged
from ingest_app.spool.files import spools_in, unpack
from ingest_app.spool.reader import DAMAGED_SUFFIX, Entry, SpoolReader

BATCH_RECORDS, BATCH_BYTES = 4_000, 8 * 1024 * 1024

Question = Callable[[str, Any], bool]
"""Asks of a record's kind and its row, as its table has it, whether it is one of those that are looked for."""


@dataclass(frozen=True, slots=True)
class SpooledRecord:
    """A record in a spool; `seq` is that of its entry, which a drainer takes whole.

    `received_at` is in seconds since 1970.
    """

    file: str
    seq: int
    received_at: float
    kind: str
    row: Any


def search_spools(folder: Path, question: Question) -> Iterator[SpooledRecord]:
    """Yield the records for which the question is true, of damaged files as far as they can be read.

    A file that is drained and removed meanwhile holds nothing. Raises SpoolDamaged where a file cannot be read at all.
    """
    for path in [*spools_in(folder), *damaged_in(folder)]:
        try:
            with closing(SpoolReader(path)) as reader:
                for entry in _entries(reader):
                    yield from _matching(path, entry, question)
        except sqlite3.Error as error:
            if path.exists():
                raise SpoolDamaged(path, str(error)) from error


def damaged_in(folder: Path) -> list[Path]:
    """List the files that were set aside because they cannot be read whole."""
    return sorted(folder.glob(f"*{DAMAGED_SUFFIX}"))


def _entries(reader: SpoolReader) -> Iterator[Entry]:
    """Read on from entry to entry; from where that fails, what can still be read."""
    seq = 0
    try:
        while batch := reader.read_after(seq, BATCH_RECORDS, BATCH_BYTES):
            yield from batch
            seq = batch[-1].seq
    except SpoolDamaged:
        yield from (entry for entry in reader.salvage() if entry.seq > seq)


def _matching(path: Path, entry: Entry, question: Question) -> Iterator[SpooledRecord]:
    for part in unpack(entry.body):
        for row in json.loads(part.rows):
            if question(part.kind, row):
                yield SpooledRecord(path.name, entry.seq, entry.received_at, part.kind, row)
