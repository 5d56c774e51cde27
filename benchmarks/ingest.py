"""How fast events are accepted on disk, beside a handler that writes each to Postgres and one that does nothing.

`measure_singles` is one event a request, all sides in turn on the same Postgres; `measure_batches` sends batches of 100
at a steady pace and looks at what arrives in Postgres, how deep the spool gets and how large a worker.
"""

import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg
from rich.table import Table

from benchmarks.serving import AN_EVENT, BROWSER, Load, drainer, server, wrk
from ingest_app.database import make_engine
from ingest_app.keys import create_key
from ingest_app.spool.reader import read_backlog

CONNECTIONS = 32
WARM_SECONDS = 2.0
BATCH_SIZE = 100
SENDERS = 4


def measure_singles(database_url: str, folder: Path, repetitions: int, seconds: float) -> Table:
    """Time all three sides in turn; medians of the repetitions."""
    sides: dict[str, Callable[[], Load]] = {
        "empty handler": lambda: _rival("benchmarks.rivals:empty_handler", database_url, seconds),
        "one pooled INSERT and commit": lambda: _rival("benchmarks.rivals:insert_handler", database_url, seconds),
        "footfall: 202 when on disk": lambda: _footfall(database_url, folder, seconds),
    }
    found: dict[str, list[Load]] = {name: [] for name in sides}
    for _ in range(repetitions):
        for name, side in sides.items():
            found[name].append(side())
    return _singles_table(found)


def measure_batches(database_url: str, folder: Path, events_per_second: int, seconds: float) -> Table:
    """Send batches of 100 at a pace for `seconds`; what counts is what has arrived in Postgres."""
    key = make_key(database_url, "server")
    backlogs: list[int] = []
    with _ingest(database_url, folder) as (url, running), psycopg.connect(database_url, autocommit=True) as connection:
        before = _count(connection)
        sent = _Pace(url, key, events_per_second)
        started = time.monotonic()
        with sent.going():
            while time.monotonic() - started < seconds:
                time.sleep(1.0)
                backlogs.append(read_backlog(folder / "spool").record_count)
            arrived, elapsed = _count(connection) - before, time.monotonic() - started
        workers = [child.memory_info().rss for child in running.children(recursive=True)]
        _wait_drained(folder)
        total = _count(connection) - before
    if sent.refusals:
        raise AssertionError(sent.refusals[0])
    if total != sent.accepted:
        raise AssertionError(f"{sent.accepted:,} events were accepted and {total:,} are in Postgres")
    table = Table(title=f"Batches of {BATCH_SIZE} for {elapsed:.0f} s, paced at {events_per_second:,} events/s")
    table.add_column("")
    table.add_column("", justify="right")
    half = len(backlogs) // 2
    for name, value in (
        ("events/s accepted", f"{sent.accepted / elapsed:,.0f}"),
        ("events/s arrived in Postgres", f"{arrived / elapsed:,.0f}"),
        ("deepest spool, first half", f"{max(backlogs[:half]):,}"),
        ("deepest spool, second half", f"{max(backlogs[half:]):,}"),
        ("slowest answer, p99 (ms)", f"{statistics.quantiles(sent.latencies_ms, n=100)[98]:.0f}"),
        ("largest worker (MB)", f"{max(workers) / 1e6:.0f}"),
        ("accepted and in Postgres", f"{total:,}"),
    ):
        table.add_row(name, value)
    return table


def _rival(target: str, database_url: str, seconds: float) -> Load:
    with server(target, {"DATABASE_URL": database_url}) as (url, _):
        wrk(url, "", WARM_SECONDS, CONNECTIONS)
        return wrk(url, "", seconds, CONNECTIONS)


def _footfall(database_url: str, folder: Path, seconds: float) -> Load:
    key = make_key(database_url, "write")
    with _ingest(database_url, folder) as (url, _):
        wrk(url, key, WARM_SECONDS, CONNECTIONS)
        load = wrk(url, key, seconds, CONNECTIONS)
        _wait_drained(folder)
    if load.refused:
        raise AssertionError(f"{load.refused:,} posts were refused")
    return load


@contextmanager
def _ingest(database_url: str, folder: Path) -> Iterator[tuple[str, psutil.Process]]:
    env: Mapping[str, str] = {
        "DATABASE_URL": database_url,
        "FOOTFALL_HOME": str(folder),
        "FOOTFALL_SECRET": "benchmark",
    }
    with server("ingest_app.app:create_app", env) as (url, running), drainer(env):
        yield url, running


class _Pace:
    """Senders that post batches at a pace, each on a connection of its own."""

    def __init__(self, url: str, key: str, events_per_second: int) -> None:
        self.accepted = 0
        self.latencies_ms: list[float] = []
        self.refusals: list[str] = []
        self._address = urlsplit(url).netloc
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "User-Agent": BROWSER}
        self._body = json.dumps([{**AN_EVENT, "user_id": n, "session_id": f"s-{n}"} for n in range(BATCH_SIZE)])
        self._pause = SENDERS * BATCH_SIZE / events_per_second
        self._stop = threading.Event()
        self._gate = threading.Lock()

    @contextmanager
    def going(self) -> Iterator[None]:
        """Send while the body of the `with` runs."""
        senders = [threading.Thread(target=self._send) for _ in range(SENDERS)]
        for sender in senders:
            sender.start()
        try:
            yield
        finally:
            self._stop.set()
            for sender in senders:
                sender.join()

    def _send(self) -> None:
        connection = http.client.HTTPConnection(self._address)
        due = time.monotonic()
        while not self._stop.is_set():
            started = time.monotonic()
            connection.request("POST", "/api/events", self._body, self._headers)
            answer = connection.getresponse()
            told = json.loads(answer.read())
            if answer.status != 202:
                self.refusals.append(f"a batch was answered {answer.status}: {told}")
                return
            with self._gate:
                self.accepted += told.get("accepted", 0)
                self.latencies_ms.append((time.monotonic() - started) * 1000)
            due += self._pause
            self._stop.wait(max(due - time.monotonic(), 0))
        connection.close()


def _wait_drained(folder: Path) -> None:
    while read_backlog(folder / "spool").record_count:
        time.sleep(0.1)


def _count(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT count(*) FROM tracking_events").fetchone()
    return int(row[0]) if row else 0


def make_key(database_url: str, scope: str) -> str:
    """Return a key that no rate limit slows down."""
    engine = make_engine(database_url)
    with engine.begin() as connection:
        key = create_key(connection, scope, requests_per_second=1_000_000)
    engine.dispose()
    return key


def _singles_table(found: dict[str, list[Load]]) -> Table:
    rates = {name: statistics.median(load.per_second for load in loads) for name, loads in found.items()}
    empty, insert, _ = rates.values()
    count = len(next(iter(found.values())))
    table = Table(title=f"Single events, {CONNECTIONS} connections, 2 workers, median of {count}")
    for heading in ("", "202s per second", "of the INSERT handler", "of the empty handler", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if not heading else "right")
    for name, loads in found.items():
        p50, p99 = (
            statistics.median(values) for values in zip(*((one.p50_ms, one.p99_ms) for one in loads), strict=True)
        )
        rate = rates[name]
        table.add_row(name, f"{rate:,.0f}", f"{rate / insert:.2f}", f"{rate / empty:.2f}", f"{p50:.1f}", f"{p99:.1f}")
    return table
