"""What one look at a footfall found, each part with its units; a part that was not seen says why. Nothing looks here.

Times are UTC. What follows from it is `problems.py`; how it is found is `lags.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from footfall.watch.canary import Sent
from pipelines.report import Report


@dataclass(frozen=True, slots=True)
class Unknown:
    """What could not be seen, and why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Spool:
    """What waits for Postgres on this node: records, the age of the oldest, files that cannot be read whole."""

    record_count: int
    oldest_age_seconds: float
    damaged_file_count: int


@dataclass(frozen=True, slots=True)
class Ingest:
    """What ingest says of itself (`faults`: why it cannot accept) and of the drainer; None where that says nothing.

    `is_open`: it shows its metrics here, which a proxy before it keeps from others.
    """

    faults: tuple[str, ...] = ()
    drain_lag_seconds: float | None = None
    drained_at: datetime | None = None
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Postgres:
    """What Postgres tells: human events by the UTC hour of receipt, days of events, what it refused in a day.

    `overdue_days` ought to have left it by now, `overdue_since` the day on which the first of them had to.
    """

    human_counts: Mapping[datetime, int]
    last_human_at: datetime | None
    is_tracking: bool
    rejected_count: int
    hot_day_count: int
    overdue_days: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Published:
    """How fresh the published file is, and when the last canary in it was sent; None without any."""

    refreshed_at: datetime
    loaded_at: datetime
    canary_at: datetime | None = None

    @property
    def canary_travel_seconds(self) -> float | None:
        """How long the last canary in the file took from its sending to the publishing of the file."""
        return (self.refreshed_at - self.canary_at).total_seconds() if self.canary_at else None


@dataclass(frozen=True, slots=True)
class Disk:
    """Where something is kept, and how much room is left there; `least_bytes` must stay."""

    name: str
    free_bytes: int
    least_bytes: int


@dataclass(frozen=True, slots=True)
class Look:
    """All that one look found, at one moment; `watched_seconds` is how long the watcher has looked by then."""

    at: datetime
    watched_seconds: float
    spool: Spool | Unknown
    ingest: Ingest | Unknown
    postgres: Postgres | Unknown
    published: Published | Unknown
    sent: Sent | Unknown
    dagster: Report | Unknown
    disks: tuple[Disk, ...]

    @property
    def load_lag_seconds(self) -> float | None:
        """How old the rows are that the published file was made of."""
        return None if isinstance(self.published, Unknown) else self.since(self.published.loaded_at)

    @property
    def refresh_age_seconds(self) -> float | None:
        """How long ago the file was published."""
        return None if isinstance(self.published, Unknown) else self.since(self.published.refreshed_at)

    @property
    def canary_age_seconds(self) -> float | None:
        """How long ago the last canary in the published file was sent.

        Counted at most from the first one that was sent without a break, and None while tracking is switched off.
        """
        if isinstance(self.sent, Unknown) or self.sent.is_dropped:
            return None
        seen = None if isinstance(self.published, Unknown) else self.published.canary_at
        return self.since(max(filter(None, (seen, self.sent.series_began_at))))

    @property
    def is_tracking(self) -> bool | None:
        """Whether what apps send is kept."""
        return None if isinstance(self.postgres, Unknown) else self.postgres.is_tracking

    def since(self, moment: datetime) -> float:
        """Return the seconds since a moment, none for one that a clock which is ahead has set."""
        return max((self.at - moment).total_seconds(), 0.0)
