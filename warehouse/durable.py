"""What makes a file survive a power cut, and a DuckDB file go with its log. What is in a file is not known here."""

import os
from pathlib import Path


def fsync(path: Path) -> None:
    """Put a file's content, or a folder's list of names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_whole(path: Path, text: str) -> None:
    """Put a text in the place of what the file held: who reads it finds the old or the new, after a power cut too."""
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        made.write_text(text, encoding="utf-8")
        fsync(made)
        os.replace(made, path)
    finally:
        made.unlink(missing_ok=True)
    fsync(path.parent)


def write_ahead_log(path: Path) -> Path:
    """Return where DuckDB puts the log of a file."""
    return path.with_name(f"{path.name}.wal")


def remove_database(path: Path) -> None:
    """Remove a DuckDB file and its log, as far as they are there."""
    path.unlink(missing_ok=True)
    write_ahead_log(path).unlink(missing_ok=True)
