"""What each rule of `problems.py` measures of a look: values with their subjects and words. Nothing is judged here."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from footfall.watch.look import Look, Unknown
from footfall.watch.silence import silent_seconds
from pipelines.report import Report


@dataclass(frozen=True, slots=True)
class Measured:
    """A value that a rule is about, of one subject (a job, a disk; none where there is one only), with words for it."""

    value: float
    subject: str = ""
    words: str = ""


# older than that, what Dagster reported is no news of now: that it reports no more is a problem of its own
REPORT_SECONDS = 300.0

# what is measured now; Unknown where it cannot be seen, so that nothing is known of the problem
Measure = Callable[[Look], Sequence[Measured] | Unknown]


def told(seconds: float) -> str:
    """Say a time in the unit that people would use."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.0f} h" if seconds < 172_800 else f"{seconds / 86_400:.0f} days"


def _one(value: float | None, reason: Unknown | str) -> Sequence[Measured] | Unknown:
    if value is None:
        return reason if isinstance(reason, Unknown) else Unknown(reason)
    return (Measured(value),)


def postgres(look: Look) -> Sequence[Measured] | Unknown:
    """Whether Postgres is away, and what it said."""
    return [Measured(1, words=look.postgres.reason)] if isinstance(look.postgres, Unknown) else []


def ingest(look: Look) -> Sequence[Measured] | Unknown:
    """Whether ingest cannot accept, and why."""
    faults = (look.ingest.reason,) if isinstance(look.ingest, Unknown) else look.ingest.faults
    return [Measured(1, words="; ".join(faults))] if faults else []


def disks(look: Look) -> Sequence[Measured] | Unknown:
    """How many bytes too few each disk has."""
    return [
        Measured(one.least_bytes - one.free_bytes, one.name, f"{one.free_bytes / 1e9:.1f} GB") for one in look.disks
    ]


def spool_waits(look: Look) -> Sequence[Measured] | Unknown:
    """Age of the oldest record on disk."""
    if isinstance(look.spool, Unknown):
        return look.spool
    return [Measured(look.spool.oldest_age_seconds, words=f"{look.spool.record_count:,}")]


def spool_damaged(look: Look) -> Sequence[Measured] | Unknown:
    """Spools that cannot be read whole."""
    return look.spool if isinstance(look.spool, Unknown) else [Measured(look.spool.damaged_file_count)]


def drain_stopped(look: Look) -> Sequence[Measured] | Unknown:
    """Time since the drainer last went round well; what it says of itself goes with it."""
    if isinstance(look.ingest, Unknown):
        return look.ingest
    if not look.ingest.is_open:
        return Unknown("ingest shows no metrics at this address")
    if look.ingest.drained_at is None:
        return [Measured(look.watched_seconds)]
    return [Measured(look.since(look.ingest.drained_at))]


def ingest_silent(look: Look) -> Sequence[Measured] | Unknown:
    """Time without an event of a person, where that is longer than usual."""
    if isinstance(look.postgres, Unknown):
        return look.postgres
    if not look.postgres.is_tracking or look.postgres.last_human_at is None:
        return []
    began = look.at - timedelta(seconds=look.watched_seconds)
    seconds = silent_seconds(look.postgres.human_counts, max(look.postgres.last_human_at, began), look.at)
    return [] if seconds is None else [Measured(seconds, words=f"{look.postgres.last_human_at:%Y-%m-%d %H:%M} UTC")]


def rejected(look: Look) -> Sequence[Measured] | Unknown:
    """Records refused within a day."""
    return look.postgres if isinstance(look.postgres, Unknown) else [Measured(look.postgres.rejected_count)]


def retention(look: Look) -> Sequence[Measured] | Unknown:
    """Days that ought to have left Postgres."""
    if isinstance(look.postgres, Unknown):
        return look.postgres
    overdue = look.postgres.overdue_days
    return [Measured(len(overdue), words=overdue[0] if overdue else "")]


def published(value: Callable[[Look], float | None]) -> Measure:
    """Return what measures an age of the published file."""
    return lambda look: _one(value(look), look.published if isinstance(look.published, Unknown) else "not there yet")


def canary(look: Look) -> Sequence[Measured] | Unknown:
    """Age of the last canary in the published file; none while tracking is switched off, which is no fault."""
    if isinstance(look.sent, Unknown):
        return look.sent
    fault = f": {look.sent.fault}" if look.sent.fault else ""
    return [] if look.canary_age_seconds is None else [Measured(look.canary_age_seconds, words=fault)]


def _report(look: Look) -> Report | Unknown:
    if isinstance(look.dagster, Unknown) or look.since(look.dagster.written_at) <= REPORT_SECONDS:
        return look.dagster
    return Unknown("Dagster's report is of long ago")


def dagster_silent(look: Look) -> Sequence[Measured] | Unknown:
    """Age of Dagster's report."""
    return [
        Measured(look.watched_seconds if isinstance(look.dagster, Unknown) else look.since(look.dagster.written_at))
    ]


def failed_runs(look: Look) -> Sequence[Measured] | Unknown:
    """Failed runs of each job since one went well."""
    report = _report(look)
    if isinstance(report, Unknown):
        return report
    return [
        Measured(one.failure_count, one.job, f"the last at {one.failed_at:%H:%M} UTC (run {one.run_id[:8]})")
        for one in report.failed_runs
    ]


def failed_checks(look: Look) -> Sequence[Measured] | Unknown:
    """Checks whose last result is bad."""
    report = _report(look)
    if isinstance(report, Unknown):
        return report
    kept = "; the old published file stays"
    return [
        Measured(1, one.name, f"run {one.run_id[:8]}{kept if one.is_blocking else ''}") for one in report.failed_checks
    ]


def stale_assets(look: Look) -> Sequence[Measured] | Unknown:
    """For how long each asset has been older than it may be."""
    report = _report(look)
    if isinstance(report, Unknown):
        return report
    return [Measured(look.since(one.stale_since), one.asset) for one in report.stale_assets]


def long_runs(look: Look) -> Sequence[Measured] | Unknown:
    """How long each overlong run has taken."""
    report = _report(look)
    if isinstance(report, Unknown):
        return report
    return [
        Measured(look.since(one.started_at), one.job, f"run {one.run_id[:8]}, usually {told(one.usual_seconds)}")
        for one in report.long_runs
    ]
