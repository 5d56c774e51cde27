"""One writer at a time: a lock beside the warehouse file that names who holds it. Nothing is written here."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from warehouse.errors import WarehouseUnusable, WriterBusy, one_line

POLL_SECONDS = 0.05


@contextmanager
def writer_lock(warehouse_path: Path, wait_seconds: float = 0, *, purpose: str = "write") -> Iterator[None]:
    """Hold the warehouse alone, against other processes and other threads; not reentrant.

    The lock is the kernel's (flock), so it ends with its holder, however that ends. The file stays: to
    remove it would let two hold a lock of the same name. Raises WriterBusy after `wait_seconds`, and
    WarehouseUnusable where the folder cannot be written.
    """
    with _open_lock_file(warehouse_path) as file:
        _acquire(file, warehouse_path, wait_seconds)
        try:
            _sign(file, f"pid {os.getpid()} ({purpose})")
            yield
        finally:
            _sign(file, "")


def require_no_writer(warehouse_path: Path) -> None:
    """Refuse at once what would have to wait for another writer, whom WriterBusy names; promises nothing for later."""
    with writer_lock(warehouse_path):
        pass


def _open_lock_file(warehouse_path: Path) -> FileIO:
    try:
        warehouse_path.parent.mkdir(parents=True, exist_ok=True)
        return warehouse_path.with_name(f"{warehouse_path.name}.lock").open("ab+", buffering=0)
    except OSError as error:
        raise WarehouseUnusable(warehouse_path, one_line(error)) from error


def _acquire(file: FileIO, warehouse_path: Path, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise WriterBusy(warehouse_path, _holder(file)) from None
            time.sleep(POLL_SECONDS)


def _sign(file: FileIO, holder: str) -> None:
    # where the disk is full the lock holds without a name: what the holder came for may be what makes room
    with suppress(OSError):
        file.truncate(0)
        file.write(holder.encode())


def _holder(file: FileIO) -> str:
    file.seek(0)
    return file.read().decode() or "unnamed, it has only just begun or its disk is full"
