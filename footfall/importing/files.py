"""Files as they come: plain or gzip, and what is wrong with them in one line. What they mean is not known here."""

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from footfall.importing.errors import FileUnreadable

GZIP_MAGIC = b"\x1f\x8b"


@contextmanager
def open_text(path: Path, errors: str = "strict") -> Iterator[tuple[IO[str], IO[bytes]]]:
    """Open a UTF-8 text file, unpacked if its first bytes say gzip; lines end in LF, and a BOM is left out.

    Yields the text and the raw file under it: the latter's `tell()` is the progress in bytes on disk.
    Raises FileUnreadable also for what shows while it is read: a truncated gzip, bytes that are no UTF-8.
    """
    with _in_one_line(path), path.open("rb") as raw:
        magic = raw.peek(2)[:2]
        unpacked = gzip.GzipFile(fileobj=raw) if magic == GZIP_MAGIC else raw
        with io.TextIOWrapper(unpacked, encoding="utf-8-sig", errors=errors, newline="\n") as text:
            yield text, raw


def require_readable(path: Path) -> None:
    """Raise FileUnreadable where there is no such file, it is a folder, or it may not be read."""
    with _in_one_line(path), path.open("rb") as raw:
        raw.read(1)


@contextmanager
def _in_one_line(path: Path) -> Iterator[None]:
    try:
        yield
    except gzip.BadGzipFile as error:
        raise FileUnreadable(path, f"it is a damaged gzip file ({error})") from error
    except (EOFError, zlib.error) as error:
        raise FileUnreadable(path, "it is a gzip file that was cut off or is damaged") from error
    except UnicodeDecodeError as error:
        raise FileUnreadable(path, f"it is not UTF-8 text (byte {error.object[error.start]:#04x})") from error
    except OSError as error:
        raise FileUnreadable(path, error.strerror or str(error)) from error
