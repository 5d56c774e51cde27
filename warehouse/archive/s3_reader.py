"""How DuckDB reads sealed files in a bucket: a filesystem of fsspec's kind, since its own would be an extension.

DuckDB asks for a file's size and time again and again, and opens files that it then does not read. Here one listing
answers the questions, and a file is opened at its first read. Nothing is written.
"""

import threading
from datetime import UTC, datetime
from typing import Protocol

from fsspec import AbstractFileSystem
from pyarrow import NativeFile

from warehouse.archive.store import Listed

NANOSECONDS = 1_000_000_000


class _Bucket(Protocol):
    """What the reader asks of the archive."""

    def url(self, name: str) -> str: ...

    def known(self, name: str) -> Listed | None: ...

    def open(self, name: str) -> NativeFile: ...


class SealedFiles(AbstractFileSystem):  # type: ignore[misc]
    """The files of one archive, by their urls."""

    protocol = "s3"
    # each is of one archive, though made with equal arguments
    cachable = False

    def __init__(self, bucket: _Bucket) -> None:
        """Ask nothing yet."""
        super().__init__()
        self._bucket = bucket

    def glob(self, path: str, **_: object) -> list[str]:
        """Return the path itself where there is such a file; a view names each file in full."""
        return [path] if self._bucket.known(self._name(path)) else []

    def info(self, path: str, **_: object) -> dict[str, object]:
        """Return name, type and size."""
        return {"name": path, "type": "file", "size": self._listed(path).size}

    def modified(self, path: str) -> datetime:
        """Return when it was put there: DuckDB's caches go by it."""
        return datetime.fromtimestamp(self._listed(path).modified_ns / NANOSECONDS, UTC)

    def open(self, path: str, mode: str = "rb", **_: object) -> "_SealedFile":
        """Open it to read."""
        if mode != "rb":
            raise PermissionError(f"{path} is only read")
        return _SealedFile(self._bucket, self._name(path), self._listed(path).size)

    def _listed(self, path: str) -> Listed:
        listed = self._bucket.known(self._name(path))
        if listed is None:
            raise FileNotFoundError(path)
        return listed

    def _name(self, path: str) -> str:
        return path.removeprefix(self._bucket.url(""))


class _SealedFile:
    """A file that is opened once it is read.

    DuckDB's threads share it: each seeks, then reads, and others come in between. So each has its own position, and
    no read goes by that of the file.
    """

    def __init__(self, bucket: _Bucket, name: str, size: int) -> None:
        self._bucket, self._name, self._size = bucket, name, size
        self._own = threading.local()
        self._opening = threading.Lock()
        self._file: NativeFile | None = None

    def read(self, count: int = -1) -> bytes:
        start = self.tell()
        wanted = self._size - start if count < 0 else count
        content: bytes = self._opened().read_at(wanted, start)
        self._own.position = start + len(content)
        return content

    def seek(self, offset: int, whence: int = 0) -> int:
        start = (0, self.tell(), self._size)[whence]
        self._own.position = start + offset
        return start + offset

    def tell(self) -> int:
        position: int = getattr(self._own, "position", 0)
        return position

    def seekable(self) -> bool:
        return True

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def _opened(self) -> NativeFile:
        with self._opening:
            if self._file is None:
                self._file = self._bucket.open(self._name)
        return self._file
