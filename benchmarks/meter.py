"""What processes use of the processors, Postgres told apart from the rest. It measures nothing by itself."""

import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import psycopg


@dataclass
class Used:
    """Seconds that went by, and processor seconds: of this process with its ended children, and of all of Postgres."""

    seconds: float = 0.0
    here: float = 0.0
    postgres: float = 0.0

    def __sub__(self, idle: "Used") -> "Used":
        """Leave out what is used with nothing to do."""
        return Used(self.seconds - idle.seconds, self.here - idle.here, self.postgres - idle.postgres)


class Meter:
    """Reads what has been used so far, vacuum and checkpoints too."""

    def __init__(self, connection: psycopg.Connection) -> None:
        """Find the server that the connection is to; it is on this machine."""
        [(folder,)] = connection.execute("SHOW data_directory").fetchall()
        self._postmaster = psutil.Process(int((Path(folder) / "postmaster.pid").read_text().split()[0]))

    @contextmanager
    def running(self, other: psutil.Process | None = None) -> Iterator[Used]:
        """Fill in what the body of the `with` used; `here` is what `other` and its children did, where it is given."""
        used, before = Used(), self._read(other)
        yield used
        after = self._read(other)
        used.seconds, used.here, used.postgres = (new - old for new, old in zip(after, before, strict=True))

    def _read(self, other: psutil.Process | None) -> tuple[float, float, float]:
        ended = resource.getrusage(resource.RUSAGE_CHILDREN)
        here = _tree_seconds(other) if other else time.process_time() + ended.ru_utime + ended.ru_stime
        return time.perf_counter(), here, _tree_seconds(self._postmaster)


def _tree_seconds(top: psutil.Process) -> float:
    total = 0.0
    for each in (top, *top.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            # the last two are of children that have ended
            total += sum(each.cpu_times()[:4])
    return total
