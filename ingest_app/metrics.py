"""What the write side counts, and `/metrics`, which shows it. How processes count together is `metric_files.py`.

A label has few values: an endpoint is a kind's name, an outcome is an error's code. A new metric goes into the table of
docs/operators.md too.
"""

import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from ingest_app.answers import Answer
from ingest_app.control import ControlWatch
from ingest_app.metric_files import count_in_files, forget_dead_gauges
from ingest_app.settings import IngestSettings
from ingest_app.spool.reader import read_backlog

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from ingest_app.drain.batch import Drained

REQUEST_SECONDS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
BATCH_SECONDS = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)
# the endpoint of whatever has no route, so that a guessed path makes no series
UNKNOWN = "unknown"
STARTED = "footfall.started"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class RequestMetrics:
    """What a worker counts: a few microseconds a request, for each series is looked up once."""

    def __init__(self, registry: CollectorRegistry | None) -> None:
        requests = ("footfall_requests", "Requests, by endpoint and outcome.", ("endpoint", "outcome"))
        duration = ("footfall_request_duration_seconds", "From a request's headers to its answer.", ("endpoint",))
        accepted = ("footfall_records_accepted", "Records answered 202: on disk.", ("endpoint",))
        dropped = ("footfall_records_dropped", "Records not kept, by reason.", ("endpoint", "reason"))
        self._requests = Counter(*requests, registry=registry)
        self._duration = Histogram(*duration, registry=registry, buckets=REQUEST_SECONDS)
        self._accepted = Counter(*accepted, registry=registry)
        self._dropped = Counter(*dropped, registry=registry)
        self._bound: dict[tuple[str, str], tuple[Callable[[], None], Callable[[float], None]]] = {}
        self._bound_accepted: dict[str, Callable[[float], None]] = {}

    def count(self, endpoint: str, response: Response, seconds: float) -> None:
        """Count an answered request and the records it brought."""
        outcome = response.outcome if isinstance(response, Answer) else _outcome_of(response)
        bound = self._bound.get((endpoint, outcome))
        if bound is None:
            labelled = self._requests.labels(endpoint, outcome), self._duration.labels(endpoint)
            bound = self._bound[endpoint, outcome] = labelled[0].inc, labelled[1].observe
        bound[0]()
        bound[1](seconds)
        if isinstance(response, Answer) and (response.accepted_count or response.dropped_count):
            self._count_records(endpoint, response)

    def _count_records(self, endpoint: str, response: Answer) -> None:
        if response.accepted_count:
            add = self._bound_accepted.get(endpoint)
            if add is None:
                add = self._bound_accepted[endpoint] = self._accepted.labels(endpoint).inc
            add(response.accepted_count)
        if response.dropped_count:
            self._dropped.labels(endpoint, response.drop_reason).inc(response.dropped_count)


class DrainMetrics:
    """What the drainer counts, a batch at a time."""

    def __init__(self, folder: Path | None = None) -> None:
        """Count in the files of `folder`, for a worker to show; without one in a `registry` of its own."""
        self.registry = registry = None if folder and count_in_files(folder, "drainer") else CollectorRegistry()
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
        self._reachable.set(0 if _is_away(error) else 1)


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


def watch_requests(app: Flask, settings: IngestSettings, control: ControlWatch) -> None:
    """Count the requests of an app and add its `/metrics`, which shows all processes' where they share a folder."""
    shown = CollectorRegistry()
    shown.register(NodeCollector(settings.spool_folder, control))
    folder = settings.prometheus_multiproc_dir
    shared = folder if folder and count_in_files(folder, "ingest") else None
    if shared:
        MultiProcessCollector(shown, str(shared))  # type: ignore[no-untyped-call]
    metrics = RequestMetrics(None if shared else shown)
    app.wsgi_app = _timed(app.wsgi_app)  # type: ignore[assignment] # as Flask's documentation has it

    @app.after_request
    def _(response: Response) -> Response:
        metrics.count(request.endpoint or UNKNOWN, response, time.perf_counter() - request.environ[STARTED])
        return response

    @app.get("/metrics", endpoint="metrics")
    def _() -> Response:
        if shared:
            forget_dead_gauges(shared)
        return Response(generate_latest(shown), content_type=CONTENT_TYPE)


def _timed(
    inner: "Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]",
) -> "Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]":
    """Note when each request came: what Flask calls first is late where its sender is slow."""

    def wsgi_app(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        environ[STARTED] = time.perf_counter()
        return inner(environ, start_response)

    return wsgi_app


def _outcome_of(response: Response) -> str:
    return "ok" if response.status_code < 400 else "refused"


def _is_away(error: Exception) -> bool:
    """Tell an absent Postgres from one that refuses: the first sends no SQLSTATE, or one of its end or its start."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state is None or state.startswith(("08", "57P"))


def _gauge(name: str, text: str, registry: CollectorRegistry | None) -> Gauge:
    return Gauge(name, text, registry=registry, multiprocess_mode="livemostrecent")


def _now(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=value)
