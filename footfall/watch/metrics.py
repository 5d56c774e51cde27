"""What the watcher shows at ingest's `/metrics`; the files by which it gets there are `ingest_app.metric_files`.

A new metric goes into the table of docs/operators.md too.
"""

from collections.abc import Mapping
from math import nan
from pathlib import Path

from prometheus_client import Gauge

from footfall.watch.look import Look, Published
from ingest_app.metric_files import choose_registry


class WatchMetrics:
    """Gauges of the last look; they go with the watcher. What is not known is NaN."""

    def __init__(self, folder: Path | None = None) -> None:
        """Show in the files of `folder`; without one in a `registry` of its own."""
        self.registry = choose_registry(folder, "watch")
        self._canary_age = self._gauge("canary_age_seconds", "Age of the last canary in the published file.")
        self._canary_travel = self._gauge("canary_travel_seconds", "From its sending to the publishing of that file.")
        self._load_lag = self._gauge("load_lag_seconds", "Age of the load that the published file is made of.")
        self._refresh_age = self._gauge("refresh_age_seconds", "Since the published file was swapped in.")
        self._open_alerts = self._gauge("open_alerts", "Alerts that people were told of, by kind.", "kind")

    def show(self, look: Look, open_counts: Mapping[str, int]) -> None:
        """Show what was seen."""
        travel = look.published.canary_travel_seconds if isinstance(look.published, Published) else None
        self._canary_age.set(_number(look.canary_age_seconds))
        self._canary_travel.set(_number(travel))
        self._load_lag.set(_number(look.load_lag_seconds))
        self._refresh_age.set(_number(look.refresh_age_seconds))
        for kind, count in open_counts.items():
            self._open_alerts.labels(kind).set(count)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        full = f"footfall_{name}"
        return Gauge(full, text, labels, registry=self.registry, multiprocess_mode="livemostrecent")


def _number(value: float | None) -> float:
    return nan if value is None else value
