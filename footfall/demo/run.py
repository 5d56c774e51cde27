"""The demo's two acts: send the history, then keep live traffic coming. Servers and models are others' affair."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import count, islice

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from footfall.demo.errors import IngestUnreachable
from footfall.demo.live import LiveTraffic, still_there
from footfall.demo.post import Poster, SentCounts
from footfall.demo.world import Batch, World

SECONDS_BETWEEN_ROUNDS = 1.0


def send_history(
    ingest_url: str,
    server_key: str,
    *,
    days: int,
    seed: int,
    last_day: date,
    console: Console,
    stop: threading.Event | None = None,
) -> SentCounts:
    """Send the `days` days that end with `last_day`, and before them what was there already.

    `last_day` is a past day (UTC). It takes a key of scope server, which may state any past time. Sent twice,
    it counts once. A set `stop` ends it between two batches, and then nothing is printed. Raises DemoFailed.
    """
    world, started, stop = World(seed, days, last_day), time.monotonic(), stop or threading.Event()
    columns = TextColumn("Sending history"), BarColumn(), MofNCompleteColumn(), TextColumn("days")
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with Poster(ingest_url, server_key, stop.wait) as poster, bar, _forgiving(stop):
        _post_all(poster, world.opening(), stop)
        for day in bar.track(world.each_day(), total=days):
            if stop.is_set():
                break
            _post_all(poster, world.batches_of(day), stop)
    if stop.is_set():
        return poster.counts
    seconds = time.monotonic() - started
    console.print(
        f"Sent {poster.counts.sent.total():,} records: what happened from {world.first_day} to {last_day},"
        f" in {seconds:.1f} s."
    )
    return poster.counts


def send_live(ingest_url: str, write_key: str, *, seed: int, rounds: int | None, stop: threading.Event) -> SentCounts:
    """Send a small round of live traffic every second, `rounds` times or until `stop` is set.

    Before the first round, the browsers of yesterday are seen again. It takes a key of scope write, as browsers
    have. The people are those of a history that ended yesterday (UTC). Raises DemoFailed, but not because the
    server went away together with the demo.
    """
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    traffic = LiveTraffic(seed, yesterday)
    batches = still_there(World(seed, 1, yesterday))
    with Poster(ingest_url, write_key, stop.wait) as poster, _forgiving(stop):
        _post_all(poster, batches, stop)
        for nth in islice(count(), rounds):
            if nth and stop.wait(SECONDS_BETWEEN_ROUNDS):
                break
            _post_all(poster, traffic.next_round(), stop)
    return poster.counts


@contextmanager
def _forgiving(stop: threading.Event) -> Iterator[None]:
    """Let a server be gone once `stop` is set: the demo ends, and it with it."""
    try:
        yield
    except IngestUnreachable:
        if not stop.is_set():
            raise


def _post_all(poster: Poster, batches: Iterable[Batch], stop: threading.Event) -> None:
    for batch in batches:
        if stop.is_set():
            return
        poster.post(batch)
