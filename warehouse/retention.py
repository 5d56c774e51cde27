"""How long everything that grows is kept: one table of rules, and pure functions that say what is due.

Nothing is removed here: `warehouse.housekeeping` does what is due, by the keepers of `warehouse.aged_rows` and
`warehouse.aged_files`, and Dagster's own runs are removed by the room that knows Dagster. `docs/retention.md` shows the
same table, held to this one by a test.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from warehouse.errors import SettingUnusable

DAY = timedelta(days=1)
# what outlives its rule by more is an alarm: a job that runs each day has failed twice by then
GRACE = 2 * DAY
LONGEST_DAYS = 36_500
# one way to write each number, as `footfall settings set` takes it
_WHOLE_NUMBER = re.compile("[1-9][0-9]{0,8}")

Remover = Literal["keep_house", "cleanup_live_sessions", "expire", "the drainer", "nobody"]
HOUSEKEEPING: Remover = "keep_house"
# what to run where a rule is not obeyed
ADVICE: Mapping[Remover, str] = {
    "keep_house": "start the job keep_house, and see in Dagster why its last run failed or did not start",
    "cleanup_live_sessions": "start the job cleanup_live_sessions, and see in Dagster why its last run failed",
    "the drainer": "run `footfall doctor`, which says what keeps the drainer from Postgres, or which file is damaged",
}


@dataclass(frozen=True, slots=True)
class Setting:
    """A rule's length that an operator sets, in `admin_settings`; `default` counts where the row is gone."""

    key: str
    default: int
    least: int
    most: int = LONGEST_DAYS
    unit: timedelta = DAY

    def length(self, value: str | None) -> timedelta:
        """Return how long this value means, the default for None. Raises SettingUnusable."""
        if value is None:
            return self.default * self.unit
        if not (_WHOLE_NUMBER.fullmatch(value) and self.least <= int(value) <= self.most):
            raise SettingUnusable(self.key, value, f"a whole number from {self.least} to {self.most}")
        return int(value) * self.unit


@dataclass(frozen=True, slots=True)
class Rule:
    """How long a thing that grows is kept (None: for ever), why so long, and which job removes it.

    `waits_for_spools`: time stands still for it while records wait in a spool, for they may be retries.
    """

    name: str
    what: str
    keep: timedelta | Setting | None
    why: str
    remover: Remover = HOUSEKEEPING
    waits_for_spools: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """The oldest that is left of what a rule is about; without a time there is nothing."""

    rule: Rule
    oldest_at: datetime | None

    def __str__(self) -> str:
        since = f"{self.oldest_at:%Y-%m-%d}" if self.oldest_at else "no time"
        return f"{self.rule.name} (kept for {told(self.rule)}) go back to {since}: {ADVICE[self.rule.remover]}"


@dataclass(frozen=True, slots=True)
class Aged:
    """A file, or a folder with all that is in it, and when it last changed."""

    path: Path
    changed_at: datetime


RULES = (
    Rule(
        "events",
        "the event tables' daily partitions, once their days are sealed",
        Setting("archive_after_days", 90, 30),
        "the archive has the same rows, for ever",
        "expire",
    ),
    Rule(
        "live_sessions",
        "rows of `tracking_live_sessions`",
        Setting("live_session_timeout_minutes", 5, 1, 1_440, timedelta(minutes=1)),
        "who is not heard of is not live; `rpt_live_users` keeps what was",
        "cleanup_live_sessions",
    ),
    Rule(
        "visitor_sessions",
        "rows of `visitor_sessions`, since their last visit",
        Setting("forget_visitors_after_days", 395, 30),
        "13 months show who comes once a year; the number of the others stays in `forgotten_visitors`",
    ),
    Rule(
        "event_ids",
        "rows of `event_ids`; those of imports (UUIDs of version 8) stay, those of rejected records as long as these",
        8 * DAY,
        "a retry counts once within 7 days, and a day more for those that wait in another node's spool",
        waits_for_spools=True,
    ),
    Rule(
        "idempotency_keys",
        "answers to moves of points and credits, by their `Idempotency-Key`",
        30 * DAY,
        "who repeats a request does so within days; the moves themselves stay in the logs",
    ),
    Rule(
        "rejected_records",
        "rows of `rejected_records`: bodies that Postgres refused",
        90 * DAY,
        "the time to mend the reason and `footfall rejected retry`; they hold what people sent",
    ),
    Rule(
        "spools",
        "files in `spool/`",
        DAY,
        "one is drained and removed within the hour; never deleted, for it holds accepted records",
        "the drainer",
    ),
    Rule(
        "spool_cursors",
        "rows of `spool_cursors` whose spool is gone",
        None,
        "one is left by each spool that is damaged, or removed by a drainer that is killed; where its file turned up "
        "again, on any node, all of it would come twice without it",
        "nobody",
    ),
    Rule(
        "unfinished_files",
        "what a killed process left unfinished: by `warehouse.duckdb` and the published file, in `archive-staging/`",
        DAY,
        "no process that still writes leaves a file alone for a day",
    ),
    Rule(
        "restored",
        "`warehouse/restored.duckdb`, since it last changed",
        30 * DAY,
        "a copy of sealed days to look at; the archive has them all",
    ),
    Rule(
        "archive_set_aside",
        "files that were set aside in the archive, and `archive/only-here/`",
        None,
        "they may be the only copy",
        "nobody",
    ),
    Rule(
        "dagster_runs",
        "finished runs in Dagster, with their events",
        14 * DAY,
        "a run each five minutes leaves some hundred rows; two weeks are enough to look back on",
    ),
    Rule(
        "dagster_checks",
        "results of asset checks in Dagster, which outlive their runs",
        14 * DAY,
        "a refresh leaves a row for each check, about 25,000 a day",
    ),
    Rule(
        "dagster_ticks",
        "ticks of schedules in Dagster, also of schedules that are no more",
        14 * DAY,
        "as the runs that they started",
    ),
    Rule(
        "dagster_files",
        "what runs leave on disk, in `dagster/logs/` and `dagster/storage/storage/`",
        14 * DAY,
        "as the runs that wrote it, which leave it behind",
    ),
    Rule(
        "dbt_parsed",
        "parsed projects in `dbt/parsed/`, since they were last used",
        7 * DAY,
        "each version of the models leaves one; who goes back to it parses anew",
    ),
    Rule(
        "logs",
        "old logs, `logs/*.log.*`: each log that has lines is set aside at night, Postgres's too",
        7 * DAY,
        "enough to look back on what was seen late",
    ),
    Rule(
        "forgotten_visitors",
        "rows of `forgotten_visitors`",
        None,
        "numbers without a person; with them every day keeps its visitors",
        "nobody",
    ),
    Rule(
        "intake_counts",
        "rows of `intake_counts`",
        None,
        "numbers without a person, 72 rows a day and node: what was accepted can be added up for every day",
        "nobody",
    ),
    Rule(
        "admin_audit_log",
        "rows of `admin_audit_log`",
        None,
        "who changed what must be known later than anybody thinks; a few rows a day",
        "nobody",
    ),
    Rule(
        "ledger",
        "rows of `user_point_logs` and `user_credit_logs`",
        None,
        "a balance is what its log adds up to",
        "nobody",
    ),
)


def kept_for(rule: Rule, settings: Mapping[str, str]) -> timedelta | None:
    """Return how long the rule keeps things, None for ever; `settings` is `admin_settings`. Raises SettingUnusable."""
    if not isinstance(rule.keep, Setting):
        return rule.keep
    return rule.keep.length(settings.get(rule.keep.key))


def kept_by_setting(key: str, value: str | None = None) -> timedelta:
    """Return how long the rule with this setting keeps things at this value. Raises SettingUnusable."""
    [setting] = [rule.keep for rule in RULES if isinstance(rule.keep, Setting) and rule.keep.key == key]
    return setting.length(value)


def due_before(
    rule: Rule, settings: Mapping[str, str], now: datetime, spool_began_at: datetime | None = None
) -> datetime | None:
    """Return the moment before which things are due, None where they are kept for ever.

    `spool_began_at` is when the oldest spool began that still waits for Postgres. Raises SettingUnusable.
    """
    kept = kept_for(rule, settings)
    if kept is None:
        return None
    return (min(now, spool_began_at or now) if rule.waits_for_spools else now) - kept


def due(things: Iterable[Aged], before: datetime) -> list[Aged]:
    """Return those that last changed before a moment, the oldest first."""
    return sorted((thing for thing in things if thing.changed_at < before), key=lambda thing: thing.changed_at)


def outliving(
    lefts: Sequence[Left], settings: Mapping[str, str], now: datetime, spool_began_at: datetime | None = None
) -> list[Left]:
    """Return what outlives its rule by more than two days. Raises SettingUnusable."""
    befores = [due_before(left.rule, settings, now, spool_began_at) for left in lefts]
    return [
        left
        for left, before in zip(lefts, befores, strict=True)
        if left.oldest_at and before and left.oldest_at < before - GRACE
    ]


def told(rule: Rule) -> str:
    """Say in words how long the rule keeps things."""
    if rule.keep is None:
        return "for ever"
    if isinstance(rule.keep, Setting):
        return f"`{rule.keep.key}`"
    return f"{rule.keep.days} day{'' if rule.keep == DAY else 's'}"
