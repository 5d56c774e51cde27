"""The drainer's side of a spool: entries after a cursor, whether more can come, and how much waits. It writes nothing.

How far a spool is drained is known to Postgres alone; `drained.json` is the drainer's note of it for those who must
answer while Postgres is away (`/metrics`, `footfall doctor`).
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from ingest_app.spool.files import lock_path, spools_in, take_lock

BUSY_SECONDS = 5.0
NOTE = "drained.json"
DAMAGED_SUFFIX = ".damaged"


@dataclass(frozen=True, slots=True)
class Entry:
    """What a worker committed at once. `seq` counts the file's records up to its end."""

    seq: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for Postgres: records, the age of the oldest in seconds, and the files that cannot be read whole."""

    record_count: int = 0
    oldest_seconds: float = 0.0
    damaged_file_count: int = 0


class SpoolReader:
    """An open spool. Raises sqlite3.DatabaseError where the file is damaged."""

    def __init__(self, path: Path) -> None:
        """Open the file; a dead worker's last commits are recovered by SQLite here."""
        self.path = path
        # rw: a file that was drained and removed a moment ago must not come back empty
        address = f"{path.absolute().as_uri()}?mode=rw"
        self._connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_SECONDS)

    def last_seq(self) -> int:
        """Return the number of records in the file; 0 where its worker had not yet made the table."""
        if not self._has_table():
            return 0
        found = self._connection.execute("SELECT max(seq) FROM entries").fetchone()[0]
        return int(found or 0)

    def read_after(self, seq: int, record_limit: int, byte_limit: int) -> list[Entry]:
        """Return the next entries, at least one if there is one, and no more than the limits after it."""
        query = "SELECT seq, body FROM entries WHERE seq > ? ORDER BY seq"
        entries: list[Entry] = []
        size = 0
        with closing(self._connection.execute(query, (seq,))) as rows:
            for found, body in rows:
                size += len(body)
                if entries and (found - seq > record_limit or size > byte_limit):
                    break
                entries.append(Entry(found, body))
        return entries

    def salvage_after(self, seq: int) -> Iterator[Entry]:
        """Yield what can still be read of a damaged file, up to the damage."""
        # without it SQLite refuses a file that is shorter than its header says before it looks at a single page
        self._connection.execute("PRAGMA writable_schema = ON")
        try:
            for found, body in self._connection.execute("SELECT seq, body FROM entries WHERE seq > ?", (seq,)):
                yield Entry(found, body)
        except sqlite3.DatabaseError:
            return

    def is_left(self) -> bool:
        """Tell whether the worker of this spool is dead or has moved on: it will not grow any more."""
        descriptor = take_lock(lock_path(self.path))
        if descriptor is None:
            return False
        os.close(descriptor)
        return True

    def oldest_after(self, seq: int) -> float | None:
        """Return when the first entry after `seq` was received, in seconds since 1970."""
        query = "SELECT received_at FROM entries WHERE seq > ? ORDER BY seq LIMIT 1"
        found = self._connection.execute(query, (seq,)).fetchone() if self._has_table() else None
        return float(found[0]) if found else None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _has_table(self) -> bool:
        query = "SELECT count(*) FROM sqlite_master WHERE name = 'entries'"
        return bool(self._connection.execute(query).fetchone()[0])


def is_damage(error: sqlite3.DatabaseError) -> bool:
    """Tell a file that is cut or overwritten from one that is busy or gone."""
    # the low byte is the error's kind, the others say more
    return (error.sqlite_errorcode or 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR}


def note_drained(folder: Path, drained: Mapping[str, int]) -> None:
    """Write down how far each spool is drained. Readers never see half of it; losing it costs nothing."""
    made = folder / f".{NOTE}"
    made.write_text(json.dumps(drained))
    os.replace(made, folder / NOTE)


def read_backlog(folder: Path) -> Backlog:
    """Look at what waits in the spools of this node, without Postgres."""
    drained = _read_note(folder)
    count, oldest, damaged = 0, None, len(list(folder.glob(f"*{DAMAGED_SUFFIX}")))
    for path in spools_in(folder):
        try:
            with closing(SpoolReader(path)) as reader:
                done = drained.get(path.stem, 0)
                count += max(reader.last_seq() - done, 0)
                since = reader.oldest_after(done)
        except sqlite3.DatabaseError as error:
            damaged += is_damage(error)
            continue  # else it was drained and removed a moment ago
        oldest = min(filter(None, (oldest, since)), default=None)
    return Backlog(count, max(time.time() - oldest, 0.0) if oldest else 0.0, damaged)


def _read_note(folder: Path) -> dict[str, int]:
    try:
        found: dict[str, int] = json.loads((folder / NOTE).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found
