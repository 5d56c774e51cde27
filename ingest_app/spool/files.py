"""What a spool is on disk: its names, its table, its lock, and how records stand in an entry. No threads, no Postgres.

A worker writes `NAME.spool`, a file of its own that it only ever appends to, and holds the lock of `NAME.lock`.
Whose lock is free is dead or has moved on: the file will not grow any more and goes once it is drained.
"""

import fcntl
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

SUFFIX = ".spool"
# SQLite's own files beside the main one, and the lock
COMPANIONS = ("-wal", "-shm")

# `seq` of an entry is the number of records in the file up to its end, so that differences count records
CREATE_TABLE = """
CREATE TABLE entries (
    seq integer PRIMARY KEY,
    received_at real NOT NULL,
    body blob NOT NULL
)
"""


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
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def sync_folder(folder: Path) -> None:
    """Put the folder's own list of files on disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove(spool: Path) -> None:
    """Remove a spool with all that belongs to it; the main file first, so that what remains is never read as one."""
    for path in (spool, *(Path(f"{spool}{companion}") for companion in COMPANIONS), lock_path(spool)):
        with suppress(FileNotFoundError):
            path.unlink()
