"""What the write side counts, and `/metrics`, which shows it. How processes count together is `metric_files.py`.

A label has few values: an endpoint is a kind's name, an outcome is an error's code. A new metric goes into the table of
docs/operators.md too.
"""

import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from flask import Flask, Response
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from ingest_app.answers import ANSWER, Answer
from ingest_app.control import ControlWatch
from ingest_app.database import is_away
from ingest_app.metric_files import choose_registry, forget_dead_gauges
from ingest_app.spool.reader import read_backlog

if TYPE_CHECKING:
    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

    from ingest_app.drain.batch import Drained

REQUEST_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
BATCH_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
# the endpoint of whatever has no route, so that a guessed path makes no series
UNKNOWN = "unknown"
PUBLISH_SECONDS = 0.5
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(slots=True)
class _Cell:
    """Requests of one endpoint and outcome that are not yet published."""

    drop_reason: str
    seconds: float = 0.0
    buckets: list[int] = field(default_factory=lambda: [0] * (len(REQUEST_SECONDS) + 1))
    accepted_count: int = 0
    dropped_count: int = 0


class RequestMetrics:
    """What a worker counts: on the spot in plain numbers, twice a second into what all processes share.

    The library takes ten microseconds for the four values of a request, a good part of what a request takes at all.
    A worker that is killed takes at most the last half second's counts with it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Count in the files of `folder`; without one in a `registry` of its own."""
        self.registry = registry = choose_registry(folder, "ingest")
        self.folder = None if registry else folder
        requests = ("footfall_requests", "Requests, by endpoint and outcome.", ("endpoint", "outcome"))
        duration = ("footfall_request_duration_seconds", "From a request's headers to its answer.", ("endpoint",))
        accepted = ("footfall_records_accepted", "Records answered 202: on disk.", ("endpoint",))
        dropped = ("footfall_records_dropped", "Records not kept, by reason.", ("endpoint", "reason"))
        self._requests = Counter(*requests, registry=registry)
        self._duration = Histogram(*duration, registry=registry, buckets=REQUEST_SECONDS)
        self._accepted = Counter(*accepted, registry=registry)
        self._dropped = Counter(*dropped, registry=registry)
        self._lock = Lock()
        self._cells: dict[tuple[str, str], _Cell] = {}
        self._due = 0.0

    def count(self, endpoint: str, answer: Answer | None, started: float) -> None:
        """Count an answered request and the records it brought; what is no Answer is a file or nothing, and well."""
        ended = time.perf_counter()
        seconds = ended - started
        found = answer or Answer
        with self._lock:
            cell = self._cells.get((endpoint, found.outcome))
            if cell is None:
                cell = self._cells[endpoint, found.outcome] = _Cell(found.drop_reason)
            cell.seconds += seconds
            cell.buckets[bisect_left(REQUEST_SECONDS, seconds)] += 1
            cell.accepted_count += found.accepted_count
            cell.dropped_count += found.dropped_count
        if ended > self._due:
            self._due = ended + PUBLISH_SECONDS
            self.publish()

    def publish(self) -> None:
        """Show what was counted since the last time; a worker without requests has to be told to."""
        with self._lock:
            cells, self._cells = self._cells, {}
        for (endpoint, outcome), cell in cells.items():
            self._requests.labels(endpoint, outcome).inc(sum(cell.buckets))
            _observe_all(self._duration.labels(endpoint), cell)
            if cell.accepted_count:
                self._accepted.labels(endpoint).inc(cell.accepted_count)
            if cell.dropped_count:
                self._dropped.labels(endpoint, cell.drop_reason).inc(cell.dropped_count)


class DrainMetrics:
    """What the drainer counts, a batch at a time."""

    def __init__(self, folder: Path | None = None) -> None:
        """Count in the files of `folder`, for a worker to show; without one in a `registry` of its own."""
        self.registry = registry = choose_registry(folder, "drainer")
        self._batches = Counter("footfall_drain_batches", "Batches in Postgres.", registry=registry)
        self._seconds = Histogram(
            "footfall_drain_batch_duration_seconds", "A batch's transaction.", registry=registry, buckets=BATCH_SECONDS
        )
        self._records = Counter("footfall_drained_records", "Records taken out of the spools.", registry=registry)
        self._duplicates = Counter("footfall_duplicate_records", "Events that were there already.", registry=registry)
        self._rejected = Counter(
            "footfall_rejected_records",
            "Records that Postgres refused, set aside in rejected_records.",
            registry=registry,
        )
        self._points = Counter("footfall_rule_points", "Points that events earned by rules.", registry=registry)
        self._failures = Counter("footfall_drain_failures", "Rounds broken off; all is tried again.", registry=registry)
        self._lag = _gauge("footfall_drain_lag_seconds", "Age of the oldest record of the last batch.", registry)
        self._ended_at = _gauge(
            "footfall_drain_last_success_timestamp_seconds",
            "When a round last went well, if only to find nothing.",
            registry,
        )
        self._reachable = _gauge(
            "footfall_drain_postgres_reachable", "1 where the drainer reached Postgres when it last had to.", registry
        )

    def batch_written(self, drained: "Drained", seconds: float, oldest_at: float | None) -> None:
        """Count what a transaction took to Postgres. `oldest_at` is when its first record came, since 1970."""
        self._batches.inc()
        self._seconds.observe(seconds)
        self._records.inc(drained.records)
        self._duplicates.inc(drained.duplicates)
        self._rejected.inc(drained.rejected)
        self._points.inc(drained.points)
        self._reachable.set(1)
        if oldest_at is not None:
            self._lag.set(max(time.time() - oldest_at, 0.0))

    def round_ended(self, records: int) -> None:
        """Note that the drainer went round all spools."""
        self._ended_at.set(time.time())
        if not records:
            self._lag.set(0)

    def round_failed(self, error: Exception) -> None:
        """Note that a round was broken off."""
        self._failures.inc()
        self._reachable.set(0 if is_away(error) else 1)


class NodeCollector(Collector):
    """What is looked up when somebody asks: the spools, their disk, and what the worker knows of Postgres."""

    def __init__(self, spool_folder: Path, control: ControlWatch) -> None:
        self._spool_folder = spool_folder
        self._control = control

    def collect(self) -> Iterable[Metric]:
        """Read it now, without a query to Postgres."""
        backlog = read_backlog(self._spool_folder)
        yield _now("footfall_spool_records", "Records on disk that wait for Postgres.", backlog.record_count)
        yield _now("footfall_spool_oldest_age_seconds", "Age of the oldest that waits.", backlog.oldest_seconds)
        yield _now("footfall_spool_damaged_files", "Spools that cannot be read whole.", backlog.damaged_file_count)
        with suppress(OSError):  # a folder that is gone makes a worker unready, not unseen
            stat = os.statvfs(self._spool_folder)
            yield _now("footfall_spool_disk_free_bytes", "Room on the spools' disk.", stat.f_bavail * stat.f_frsize)
        yield _now(
            "footfall_postgres_reachable", "1 where this worker can ask Postgres.", not self._control.is_postgres_away
        )


def watch_requests(app: Flask, metrics: RequestMetrics, node: NodeCollector) -> None:
    """Count the requests of an app and add its `/metrics`, which shows all processes' where they share a folder."""
    shown = metrics.registry or CollectorRegistry()
    shown.register(node)
    if metrics.folder:
        MultiProcessCollector(shown, str(metrics.folder))  # type: ignore[no-untyped-call]
    app.wsgi_app = _counted(app.wsgi_app, metrics)  # type: ignore[assignment] # as Flask's documentation has it

    @app.get("/metrics", endpoint="metrics")
    def _() -> Response:
        metrics.publish()
        if metrics.folder:
            forget_dead_gauges(metrics.folder)
        return Response(generate_latest(shown), content_type=CONTENT_TYPE)


def _counted(inner: "WSGIApplication", metrics: RequestMetrics) -> "WSGIApplication":
    """Count what a Flask app answers, outside of Flask, whose hooks and proxies cost more than the counting."""

    def wsgi_app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        started = time.perf_counter()
        endpoint = UNKNOWN

        def start(status: str, headers: list[tuple[str, str]], *rest: "OptExcInfo | None") -> Callable[[bytes], object]:
            nonlocal endpoint
            # Flask lets go of its request before it returns
            endpoint = environ["werkzeug.request"].endpoint or UNKNOWN
            return start_response(status, headers, *rest)

        body = inner(environ, start)
        metrics.count(endpoint, environ.get(ANSWER), started)
        return body

    return wsgi_app


def _observe_all(histogram: Histogram, cell: _Cell) -> None:
    """Add many observations at once, for which the library has no public way."""
    histogram._sum.inc(cell.seconds)
    for bucket, count in zip(histogram._buckets, cell.buckets, strict=True):
        if count:
            bucket.inc(count)


def _gauge(name: str, text: str, registry: CollectorRegistry | None) -> Gauge:
    return Gauge(name, text, registry=registry, multiprocess_mode="livemostrecent")


def _now(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
