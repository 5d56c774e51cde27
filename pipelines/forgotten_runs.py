"""Dagster's finished runs as a thing that grows: how old the oldest is, and how they are forgotten with their events.

Dagster keeps them for ever by itself. How long they are kept is a rule of `warehouse.retention`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from warehouse.aged_rows import Counts

FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
RUNS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class FinishedRuns:
    """The finished runs of an instance."""

    instance: dg.DagsterInstance

    def oldest(self) -> datetime | None:
        """Return when the first of them ended."""
        oldest = self.instance.get_run_records(dg.RunsFilter(statuses=FINISHED), limit=1, ascending=True)
        return oldest[0].update_timestamp.replace(tzinfo=UTC) if oldest else None

    def remove(self, before: datetime, *, dry_run: bool = True) -> Counts:
        """Forget those that ended before that moment, or only count them."""
        old = dg.RunsFilter(statuses=FINISHED, updated_before=before)
        due = self.instance.get_runs_count(old)
        return Counts(due, 0 if dry_run else sum(self._batches(old)))

    def _batches(self, old: dg.RunsFilter) -> Iterator[int]:
        # oldest first, and until none is left: more runs end in a day than one batch holds
        while runs := self.instance.get_runs(old, limit=RUNS_AT_ONCE, ascending=True):
            for run in runs:
                # first what nobody could find once the run is gone: who is killed in between begins with this run again
                self.instance.event_log_storage.delete_events(run.run_id)
                self.instance.delete_run(run.run_id)
            yield len(runs)
