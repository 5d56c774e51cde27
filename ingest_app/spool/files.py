"""What a spool is on disk: its names, its table, its lock, and how records stand in an entry. No threads, no Postgres.

A worker writes `NAME.spool`, a file of its own that it only ever appends to, and holds the lock of `NAME.lock`.
Whose lock is free is dead or has moved on: the file will not grow any more and goes once it is drained. In the lock
file the worker notes how far the spool is good, so that a file that was cut tells, and a refused commit stays refused.
"""

import fcntl
import os
import secrets
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SUFFIX = ".spool"
# SQLite's own files beside the main one
COMPANIONS = ("-wal", "-shm")
DRAINER_LOCK = "drainer.lock"
# its time of change: files that were made before it are to be let go of
ASKED = "let-go"

# `seq` of an entry is the number of records in the file up to its end, so that differences count records
CREATE_TABLE = """
CREATE TABLE entries (
    seq integer PRIMARY KEY,
    received_at real NOT NULL,
    checksum integer NOT NULL,
    body blob NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class End:
    """What a worker says of its spool: how many records it answered for; once final, what follows was refused."""

    seq: int = 0
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of one request: `rows` is a JSON array of `count` rows of the kind's table."""

    kind: str
    count: int
    rows: bytes


def pack(parts: Iterable[Part]) -> bytes:
    """Join parts to the body of an entry, a line each: kind, count, rows. JSON has no raw line feed."""
    return b"\n".join(b"%s %d %s" % (part.kind.encode(), part.count, part.rows) for part in parts)


def unpack(body: bytes) -> Iterator[Part]:
    """Yield the parts of an entry's body."""
    for line in body.split(b"\n"):
        kind, count, rows = line.split(b" ", 2)
        yield Part(kind.decode(), int(count), rows)


def new_name() -> str:
    """Make a name that no other spool has: the time it was made, for people, and chance."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(4)}"


def spools_in(folder: Path) -> list[Path]:
    """List the spools of this node, the oldest first."""
    return sorted(folder.glob(f"*{SUFFIX}"))


def lock_path(spool: Path) -> Path:
    """Name the lock of a spool: a file beside it, for closing a second handle of a SQLite file drops SQLite's locks."""
    return spool.with_suffix(".lock")


def take_lock(path: Path) -> int | None:
    """Lock a file (made if missing) until the process ends; return its descriptor, None where another holds it."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still(path, descriptor):
                return descriptor
        except BlockingIOError:
            os.close(descriptor)
            return None
        # it was removed between the two calls: a lock that nobody finds
        os.close(descriptor)


def note_end(lock: int, seq: int, is_final: bool = False) -> None:
    """Write an End into a lock file. Only the final one is fsynced: an old one is short of the truth, never past it."""
    # a disk that does not even take this is why the file is let go; there is nothing else to tell it
    with suppress(OSError):
        # always as long as this, so that it also fits on a full disk
        os.pwrite(lock, b"%020d %d\n" % (seq, is_final), 0)
        if is_final:
            os.fsync(lock)


def read_end(spool: Path) -> End:
    """Read what the worker noted last. While it still writes only `is_final` is sure."""
    try:
        seq, is_final = lock_path(spool).read_bytes().split()
        return End(int(seq), is_final == b"1")
    except (FileNotFoundError, ValueError):
        return End()


def ask_to_let_go(folder: Path) -> None:
    """Ask the workers of this node to let go of the files that they have now, some of which would stay for an hour."""
    path = folder / ASKED
    path.touch(mode=0o600)
    # the clock by which files are dated, where a disk's own may be some milliseconds late
    now = time.time_ns()
    os.utime(path, ns=(now, now))


def asked_at_ns(folder: Path) -> int:
    """Return when that was last asked, in nanoseconds since 1970; 0 where it never was."""
    try:
        return os.stat(folder / ASKED).st_mtime_ns
    except FileNotFoundError:
        return 0


def checksum(seq: int, body: bytes) -> int:
    """Sum up an entry: SQLite does not notice a page that was overwritten inside of it."""
    return zlib.crc32(body, seq & 0xFFFFFFFF)


def sync_folder(folder: Path) -> None:
    """Put the folder's own list of files on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def orphans_in(folder: Path) -> list[Path]:
    """List the spools of which there is a lock or a log, but no main file: one is being made, or it is gone."""
    left = [*folder.glob("*.lock"), *(path for end in COMPANIONS for path in folder.glob(f"*{SUFFIX}{end}"))]
    spools = {path.with_name(path.name.partition(".")[0] + SUFFIX) for path in left if path.name != DRAINER_LOCK}
    return sorted(spool for spool in spools if not spool.exists())


def remove(spool: Path) -> None:
    """Remove a spool with all that belongs to it; the main file first, so that what remains is never read as one."""
    for path in (spool, *(Path(f"{spool}{companion}") for companion in COMPANIONS), lock_path(spool)):
        with suppress(FileNotFoundError):
            path.unlink()


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
