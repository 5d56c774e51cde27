"""Files in which the processes of a node count together; `/metrics` adds them up. What is counted is `metrics.py`.

prometheus_client names such files after process ids, so a worker that dies each minute leaves thousands of them. Here a
process takes the lowest free slot of its role (`ingest0`, `ingest1`, `drainer0`) and goes on where the last holder of
that slot ended: counters outlive a killed process, and files do not pile up.
"""

import logging
import os
from itertools import count
from pathlib import Path

from prometheus_client import CollectorRegistry, multiprocess, values

from ingest_app.spool.files import take_lock

# room for every series there can be. A page of a sparse file that finds the disk full kills its process with SIGBUS
FILE_BYTES = 256 * 1024
# prometheus_client's names of them
FILES = ("counter_{slot}.db", "histogram_{slot}.db", "gauge_livemostrecent_{slot}.db")

log = logging.getLogger(__name__)


def choose_registry(folder: Path | None, role: str) -> CollectorRegistry | None:
    """Return where the metrics that this process makes from now on belong: None for the files of `folder`.

    Without a folder, or where the disk has no room for them, the process counts for itself. The library reads the
    folder from `PROMETHEUS_MULTIPROC_DIR`, as `IngestSettings` does: it is the same one.
    """
    if folder and _count_in_files(folder, role):
        return None
    values.ValueClass = values.MutexValue
    return CollectorRegistry()


def forget_dead_gauges(folder: Path) -> None:
    """Remove what processes that are gone last said of themselves; what they counted stays."""
    for path in folder.glob("*.lock"):
        descriptor = take_lock(path)
        if descriptor is None:
            continue
        try:
            multiprocess.mark_process_dead(path.stem, folder)  # type: ignore[no-untyped-call]
        finally:
            os.close(descriptor)


def _count_in_files(folder: Path, role: str) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        slot = _take_slot(folder, role)
        for name in FILES:
            _reserve(folder / name.format(slot=slot))
    except OSError as error:
        log.warning("this process counts for itself, its metrics cannot be shared: %s", error.strerror)
        return False
    # the library's own way to name files after something else than the process id
    values.ValueClass = values.MultiProcessValue(lambda: slot)  # type: ignore[no-untyped-call]
    return True


def _take_slot(folder: Path, role: str) -> str:
    """Take a slot that goes back with the process, however it ends."""
    return next(slot for slot in (f"{role}{n}" for n in count()) if take_lock(folder / f"{slot}.lock") is not None)


def _reserve(path: Path) -> None:
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, FILE_BYTES)
    finally:
        os.close(descriptor)
