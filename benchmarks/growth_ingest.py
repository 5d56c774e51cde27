"""What accepting and draining one event costs, and what of it is written to disk. Over HTTP, as apps send."""

import http.client
import json
import os
import sqlite3
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain, count, islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks.ingest import make_key
from benchmarks.meter import Meter, Used
from benchmarks.serving import BROWSER, process, server
from footfall.demo.traffic import live_through
from footfall.demo.world import World
from ingest_app.spool.reader import read_backlog

BATCH_SIZE = 100
BATCH_SENDERS = 4
SINGLE_SENDERS = 16
WARM_EVENTS = 2_000
DISK_MB = 128
DISK_PAGES = 300


@dataclass(frozen=True)
class Accepted:
    """What accepting some events took: processors, commits of the spool, bytes of its files and bytes written."""

    used: Used
    event_count: int
    commit_count: int
    spool_bytes: int
    written_bytes: int


def measure_ingest(database_url: str, folder: Path, event_count: int, meter: Meter) -> tuple[Accepted, Accepted, Used]:
    """Send all events in batches, then a twentieth as many alone, then drain; return what each of the three took.

    The drainer sleeps while events are accepted, so that what waits can be counted. Raises AssertionError where an
    event is refused.
    """
    key = make_key(database_url, "server")
    env = {"DATABASE_URL": database_url, "FOOTFALL_HOME": str(folder), "FOOTFALL_SECRET": "benchmark"}
    single_count = event_count // 20
    events = _events(datetime.now(UTC).date() - timedelta(days=1))
    warm, many, few = (_take(events, number) for number in (WARM_EVENTS, event_count, single_count))
    with (
        server("ingest_app.app:create_app", env) as (url, workers),
        process([sys.executable, "-m", "ingest_app.drain"], env) as drainer,
    ):
        _send(url, key, _bodies(warm, BATCH_SIZE), BATCH_SENDERS)
        _await_drained(folder)
        drainer.suspend()
        try:
            batches = _accept(folder, workers, meter, url, key, _bodies(many, BATCH_SIZE), BATCH_SENDERS)
            singles = _accept(folder, workers, meter, url, key, _bodies(few, 1), SINGLE_SENDERS)
        finally:
            drainer.resume()
        with meter.running(drainer) as drained:
            _await_drained(folder)
    return batches, singles, drained


def measure_disk(folder: Path) -> tuple[float, float]:
    """Return the megabytes a second, and the fsyncs a second, that the disk takes from one writer."""
    rates = []
    path = folder / "disk"
    with path.open("wb", buffering=0) as file:
        for block, number in ((os.urandom(1_000_000), DISK_MB), (os.urandom(4096), DISK_PAGES)):
            started = time.perf_counter()
            for _ in range(number):
                file.write(block)
                os.fsync(file.fileno())
            rates.append(number / (time.perf_counter() - started))
    path.unlink()
    return rates[0], rates[1]


def _accept(
    folder: Path, workers: psutil.Process, meter: Meter, url: str, key: str, bodies: Sequence[bytes], senders: int
) -> Accepted:
    before = (*_spooled(folder), _written(workers))
    with meter.running(workers) as used:
        event_count = _send(url, key, bodies, senders)
    after = (*_spooled(folder), _written(workers))
    commits, size, written = (new - old for new, old in zip(after, before, strict=True))
    return Accepted(used, event_count, commits, size, written)


def _send(url: str, key: str, bodies: Sequence[bytes], senders: int) -> int:
    """Send from some connections at once; return how many events were accepted."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "User-Agent": BROWSER}

    def send(some: Sequence[bytes]) -> int:
        accepted = 0
        with closing(http.client.HTTPConnection(urlsplit(url).netloc)) as connection:
            for body in some:
                connection.request("POST", "/api/events", body, headers)
                answer = connection.getresponse()
                told = json.loads(answer.read())
                if answer.status != 202:
                    raise AssertionError(f"a post was answered {answer.status}: {told}")
                accepted += told["accepted"]
        return accepted

    with ThreadPoolExecutor(senders) as pool:
        return sum(pool.map(send, (bodies[first::senders] for first in range(senders))))


def _await_drained(folder: Path) -> None:
    while read_backlog(folder / "spool").record_count:
        time.sleep(0.05)


def _spooled(folder: Path) -> tuple[int, int]:
    """Return the commits and the bytes of the spools that are there."""
    commits = size = 0
    for path in (folder / "spool").glob("*.spool"):
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as spool:
            [(number, length)] = spool.execute("SELECT count(*), sum(length(body)) FROM entries")
        commits, size = commits + number, size + (length or 0)
    return commits, size


def _written(workers: psutil.Process) -> int:
    return sum(each.io_counters().write_bytes for each in (workers, *workers.children(recursive=True)))


def _bodies(events: Sequence[dict[str, Any]], size: int) -> list[bytes]:
    if size == 1:
        return [json.dumps(event).encode() for event in events]
    return [json.dumps(events[first : first + size]).encode() for first in range(0, len(events), size)]


def _take(events: Iterator[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    return list(islice(events, number))


def _events(day: date) -> Iterator[dict[str, Any]]:
    """Yield what the crowds of the demo do on a day, each of people of its own, without end."""
    worlds = [World(seed, 30, day) for seed in range(8)]
    crowds = ((world, number * len(worlds) + world.seed) for number in count() for world in worlds)
    return chain.from_iterable(_crowd(world, seed, day) for world, seed in crowds)


def _crowd(world: World, seed: int, day: date) -> Iterator[dict[str, Any]]:
    for event in live_through(seed, day, world.people_on(day)).events:
        person = event["user_id"]
        yield event if person is None else {**event, "user_id": person + seed * 1_000_000}
