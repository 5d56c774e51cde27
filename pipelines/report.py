"""What Dagster says of its own health, as a file: its format, written by a sensor, read by who watches. No Dagster.

`HOME/watch/dagster.json` is written whole each minute. It holds names of jobs, assets and checks, no data of theirs.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from warehouse.durable import write_whole


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A job whose last finished run failed, and how many have failed since one of its runs went well."""

    job: str
    run_id: str
    failed_at: datetime
    failure_count: int


@dataclass(frozen=True, slots=True)
class FailedCheck:
    """A check whose last evaluation failed; one that blocks keeps the old published file in its place."""

    asset: str
    check: str
    is_blocking: bool
    run_id: str
    failed_at: datetime

    @property
    def name(self) -> str:
        """The check with its asset, as one word."""
        return f"{self.asset}:{self.check}"


@dataclass(frozen=True, slots=True)
class StaleAsset:
    """An asset that is older than its freshness policy allows, and since when that is known."""

    asset: str
    stale_since: datetime


@dataclass(frozen=True, slots=True)
class LongRun:
    """A run under way for far longer than runs of its job usually take, in seconds."""

    job: str
    run_id: str
    started_at: datetime
    usual_seconds: float


@dataclass(frozen=True, slots=True)
class Report:
    """All of it, as of one moment."""

    written_at: datetime
    failed_runs: tuple[FailedRun, ...] = ()
    failed_checks: tuple[FailedCheck, ...] = ()
    stale_assets: tuple[StaleAsset, ...] = ()
    long_runs: tuple[LongRun, ...] = ()

    def __str__(self) -> str:
        parts = {
            "failed jobs": self.failed_runs,
            "failed checks": self.failed_checks,
            "stale assets": self.stale_assets,
            "overlong runs": self.long_runs,
        }
        return ", ".join(f"{len(found)} {name}" for name, found in parts.items() if found) or "all is well"


def report_path(home: Path) -> Path:
    """Return where the report of a home is."""
    return home / "watch" / "dagster.json"


def write_report(home: Path, report: Report) -> None:
    """Put it in the place of the one before."""
    path = report_path(home)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(asdict(report), default=datetime.isoformat))


def read_report(home: Path) -> Report | None:
    """Return the last one; None where there is none that can be read."""
    try:
        found = json.loads(report_path(home).read_text())
        return Report(
            datetime.fromisoformat(found["written_at"]),
            tuple(FailedRun(**_timed(one, "failed_at")) for one in found["failed_runs"]),
            tuple(FailedCheck(**_timed(one, "failed_at")) for one in found["failed_checks"]),
            tuple(StaleAsset(**_timed(one, "stale_since")) for one in found["stale_assets"]),
            tuple(LongRun(**_timed(one, "started_at")) for one in found["long_runs"]),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _timed(found: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {**found, name: datetime.fromisoformat(found[name])}
