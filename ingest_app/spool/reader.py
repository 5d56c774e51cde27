"""The drainer's side of a spool: entries after a cursor, whether more can come, how much waits. It writes no records.

How far a spool is drained is known to Postgres alone; `drained.json` is the drainer's note of it for those who must
answer while Postgres is away (`/metrics`, `footfall doctor`).
"""

import json
import logging
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from ingest_app.spool.errors import SpoolDamaged
from ingest_app.spool.files import checksum, lock_path, read_end, spools_in, take_lock, unpack

BUSY_SECONDS = 5.0
NOTE = "drained.json"
DAMAGED_SUFFIX = ".damaged"
# what SQLite says of a file that is cut or overwritten; all else, such as a full disk, goes by
DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
DAMAGED_READS = {sqlite3.SQLITE_IOERR_READ, sqlite3.SQLITE_IOERR_SHORT_READ, sqlite3.SQLITE_IOERR_CORRUPTFS}
LARGEST_SEQ = 2**63 - 1

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Entry:
    """What a worker committed at once, in seconds since 1970. `seq` counts the file's records up to its end."""

    seq: int
    received_at: float
    body: bytes


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits for Postgres: records, the age of the oldest in seconds, and the files that cannot be read whole."""

    record_count: int = 0
    oldest_seconds: float = 0.0
    damaged_file_count: int = 0


class SpoolReader:
    """An open spool. Raises SpoolDamaged, or sqlite3.Error where it cannot be read at this moment."""

    def __init__(self, path: Path) -> None:
        """Open the file; a dead worker's last commits are recovered by SQLite here."""
        self.path = path
        # rw: a file that was drained and removed a moment ago must not come back empty
        address = f"{path.absolute().as_uri()}?mode=rw"
        self._connection = sqlite3.connect(address, uri=True, isolation_level=None, timeout=BUSY_SECONDS)
        # a damaged page may call anything text
        self._connection.text_factory = bytes

    def last_seq(self) -> int:
        """Return the number of records in the file; 0 where its worker had not yet made the table."""
        with self._naming_damage():
            if not self._has_table():
                return 0
            found = self._connection.execute("SELECT max(seq) FROM entries").fetchone()[0]
        return min(int(found or 0), self._limit())

    def read_after(self, seq: int, record_limit: int, byte_limit: int) -> list[Entry]:
        """Return the next entries, at least one if there is one, and no more than the limits after it."""
        with self._naming_damage(), closing(self._select(seq)) as rows:
            entries = take_batch((self._entry(*row) for row in rows), seq, record_limit, byte_limit)
        # asked after they were read: what was refused can only be seen once that is noted
        limit = self._limit()
        return [entry for entry in entries if entry.seq <= limit]

    def require_whole(self) -> None:
        """Raise SpoolDamaged where a file that is left has fewer records than its worker answered for."""
        found, noted = self.last_seq(), read_end(self.path).seq
        if found < noted:
            raise SpoolDamaged(self.path, f"it ends after {found} records, its worker wrote {noted}")

    def require_sound(self) -> None:
        """Raise SpoolDamaged where any entry, also one before the cursor, is missing or not what was written."""
        before = 0
        with self._naming_damage():
            if not self._has_table():
                return
            with closing(self._select(0)) as rows:
                for row in rows:
                    entry = self._entry(*row)
                    if entry.seq - before != sum(part.count for part in unpack(entry.body)):
                        raise SpoolDamaged(self.path, f"records are missing before record {entry.seq}")
                    before = entry.seq

    def salvage(self) -> list[Entry]:
        """Return all that can still be read of a damaged file: up to the damage, and from its end back to it."""
        # without it SQLite refuses a file that is shorter than its header says before it looks at a single page
        self._connection.execute("PRAGMA writable_schema = ON")
        found: dict[int, Entry] = {}
        limit = self._limit()
        for order in ("ASC", "DESC"):
            try:
                if not self._has_table():
                    break
                for seq, received_at, summed, body in self._select(0, order):
                    if seq in found:
                        break
                    if seq <= limit and _is_sound(seq, summed, body):
                        found[seq] = Entry(seq, received_at, body)
            except sqlite3.DatabaseError as error:
                if not _is_damage(error):
                    raise
        return [found[seq] for seq in sorted(found)]

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
        with self._naming_damage():
            found = self._connection.execute(query, (seq,)).fetchone() if self._has_table() else None
        return float(found[0]) if found else None

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def _select(self, seq: int, order: str = "ASC") -> sqlite3.Cursor:
        query = f"SELECT seq, received_at, checksum, body FROM entries WHERE seq > ? ORDER BY seq {order}"  # noqa: S608
        return self._connection.execute(query, (seq,))

    def _entry(self, seq: int, received_at: float, summed: int, body: bytes) -> Entry:
        if not _is_sound(seq, summed, body):
            raise SpoolDamaged(self.path, f"the entry that ends with record {seq} is not what was written")
        return Entry(seq, received_at, body)

    def _limit(self) -> int:
        """Return up to where the file counts: a worker that let go of it may have left a refused commit behind."""
        end = read_end(self.path)
        return end.seq if end.is_final else LARGEST_SEQ

    def _has_table(self) -> bool:
        query = "SELECT count(*) FROM sqlite_master WHERE name = 'entries'"
        return bool(self._connection.execute(query).fetchone()[0])

    @contextmanager
    def _naming_damage(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
            raise SpoolDamaged(self.path, str(error)) from error


def take_batch(entries: Iterable[Entry], seq: int, record_limit: int, byte_limit: int) -> list[Entry]:
    """Take of the entries after `seq` at least one if there is one, and no more than the limits after it."""
    batch: list[Entry] = []
    size = 0
    for entry in entries:
        size += len(entry.body)
        if batch and (entry.seq - seq > record_limit or size > byte_limit):
            break
        batch.append(entry)
    return batch


def _is_sound(seq: int, summed: object, body: object) -> bool:
    return isinstance(body, bytes) and checksum(seq, body) == summed


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", None) or 0
    # the low byte is the error's kind, the others say more
    return code & 0xFF in DAMAGE or code in DAMAGED_READS


def note_drained(folder: Path, drained: Mapping[str, int]) -> None:
    """Write down how far each spool is drained. Readers never see half of it; losing it costs nothing."""
    # a refresh may drain beside the drainer
    made = folder / f".{NOTE}.{os.getpid()}"
    try:
        made.write_text(json.dumps(drained))
        os.replace(made, folder / NOTE)
    except OSError as error:
        # the disk may be full, which only draining mends
        made.unlink(missing_ok=True)
        log.warning("how far the spools are drained was not noted: %s", error.strerror)


def read_backlog(folder: Path) -> Backlog:
    """Look at what waits in the spools of this node, without Postgres."""
    drained = read_note(folder)
    count, oldest, damaged = 0, None, len(list(folder.glob(f"*{DAMAGED_SUFFIX}")))
    for path in spools_in(folder):
        try:
            with closing(SpoolReader(path)) as reader:
                done = drained.get(path.stem, 0)
                count += max(reader.last_seq() - done, 0)
                since = reader.oldest_after(done)
        except SpoolDamaged:
            damaged += 1
            continue
        except sqlite3.Error:
            continue  # it was drained and removed a moment ago
        oldest = min(filter(None, (oldest, since)), default=None)
    return Backlog(count, max(time.time() - oldest, 0.0) if oldest else 0.0, damaged)


def read_note(folder: Path) -> dict[str, int]:
    """Read how far each spool is drained, as its drainer noted it; what is not noted is not known."""
    try:
        found: dict[str, int] = json.loads((folder / NOTE).read_text())
    except (FileNotFoundError, ValueError):
        return {}
    return found
