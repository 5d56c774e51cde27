"""What a look means: one rule a kind of problem, as data, and a pure function that holds a look to all of them.

Nobody is told here (`alerts.py`). What each kind means and what to do stands in docs/operations.md, a section a kind.
"""

from dataclasses import dataclass

from footfall.watch import measures
from footfall.watch.look import Look, Unknown
from footfall.watch.measures import Measure, Measured, told

PLAYBOOK = "docs/operations.md"


@dataclass(frozen=True, slots=True)
class Rule:
    """A problem is there where what is measured exceeds the threshold.

    `looks`: in how many looks, one after the other, it must be there, or gone, before somebody is told: more than one
    where a single look may be wrong. `behind` names kinds of which this one is a consequence: while one of them is
    there, this one is not judged. `needs_watching`: nor is it before the watcher has been there for as long as the
    threshold, for what a stopped footfall has not done is no news.
    """

    kind: str
    measures: str
    measure: Measure
    threshold: float
    sentence: str
    looks: int = 1
    behind: tuple[str, ...] = ()
    needs_watching: bool = False

    @property
    def anchor(self) -> str:
        """Where the playbook says what to do."""
        return f"{PLAYBOOK}#{self.kind}"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something is wrong: which rule says so, of what, and in which words."""

    kind: str
    subject: str
    sentence: str

    @property
    def key(self) -> tuple[str, str]:
        """What makes it the same problem in the next look."""
        return self.kind, self.subject


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is wrong, and of which kinds nothing is known."""

    problems: tuple[Problem, ...]
    unknown_kinds: frozenset[str]


def judge(look: Look) -> Judgement:
    """Hold a look to every rule."""
    problems: list[Problem] = []
    unknown: set[str] = set()
    for rule in RULES:
        found = None if {one.kind for one in problems} & set(rule.behind) else _exceeding(rule, look)
        if found is None:
            unknown.add(rule.kind)
        else:
            problems += found
    return Judgement(tuple(problems), frozenset(unknown))


def find_rule(kind: str) -> Rule | None:
    """Return the rule of a kind; None for one of another version of footfall."""
    return next((rule for rule in RULES if rule.kind == kind), None)


def _exceeding(rule: Rule, look: Look) -> list[Problem] | None:
    """Return the problems of one rule; None where nothing is known."""
    measured = rule.measure(look)
    if isinstance(measured, Unknown):
        return None
    found = [one for one in measured if one.value > rule.threshold]
    if found and rule.needs_watching and look.watched_seconds < rule.threshold:
        return None
    return [Problem(rule.kind, one.subject, rule.sentence.format(**_words(one))) for one in found]


def _words(one: Measured) -> dict[str, str]:
    return {"subject": one.subject, "words": one.words, "count": f"{one.value:.0f}", "time": told(one.value)}


_NO_POSTGRES = ("postgres_away",)
_NO_REPORT = ("postgres_away", "dagster_silent")
# a rule comes after those that it is behind. Reports are five minutes old by design: what grows is told before an asset
# is stale by its freshness policy
RULES = (
    Rule(
        "postgres_away",
        "whether Postgres answers",
        measures.postgres,
        0,
        "Postgres does not answer as it should: {words}",
        looks=2,
    ),
    Rule(
        "ingest_away",
        "whether ingest lives and can accept",
        measures.ingest,
        0,
        "ingest cannot accept: {words}",
        looks=2,
    ),
    Rule(
        "disk_full",
        "room on the disks of home folder and archive",
        measures.disks,
        0,
        "the disk of the {subject} has {words} left",
        looks=2,
    ),
    Rule("spool_damaged", "spools that cannot be read whole", measures.spool_damaged, 0, "{count} spools are damaged"),
    Rule(
        "drain_stopped",
        "time since the drainer last went round well",
        measures.drain_stopped,
        90,
        "the drainer has done nothing for {time}",
        looks=2,
        behind=(*_NO_POSTGRES, "ingest_away"),
        needs_watching=True,
    ),
    Rule(
        "spool_waits",
        "age of the oldest record on disk",
        measures.spool_waits,
        120,
        "{words} records wait for Postgres, the oldest for {time}",
        looks=2,
        behind=(*_NO_POSTGRES, "drain_stopped"),
        needs_watching=True,
    ),
    Rule(
        "records_rejected",
        "records refused within a day",
        measures.rejected,
        0,
        "Postgres refused {count} records in a day",
    ),
    Rule(
        "ingest_silent",
        "time without an event of a person, in hours that usually have some",
        measures.ingest_silent,
        0,
        "no event of a person came for {time}, which is unusual for these hours; the last one at {words}",
        looks=2,
        behind=("ingest_away", "drain_stopped", "spool_waits"),
    ),
    Rule(
        "retention_stopped",
        "days of events that ought to have left Postgres two days ago",
        measures.retention,
        0,
        "{count} days of events ought to have left Postgres, first {words}",
    ),
    Rule(
        "dagster_silent",
        "age of Dagster's report",
        measures.dagster_silent,
        measures.REPORT_SECONDS,
        "Dagster has not reported for {time}",
        behind=_NO_POSTGRES,
        needs_watching=True,
    ),
    Rule(
        "run_failed",
        "failed runs of a job since one went well",
        measures.failed_runs,
        0,
        "the job {subject} failed, {count} times since it last went well, {words}",
        behind=_NO_REPORT,
    ),
    Rule(
        "run_hangs",
        "time that an unfinished run takes, where that is far longer than usual",
        measures.long_runs,
        0,
        "the job {subject} has been running for {time} ({words})",
        behind=_NO_REPORT,
    ),
    Rule(
        "check_failed",
        "checks whose last result is bad",
        measures.failed_checks,
        0,
        "the check {subject} fails ({words})",
        behind=_NO_REPORT,
    ),
    Rule(
        "refresh_late",
        "time since the file was published",
        measures.published(lambda look: look.refresh_age_seconds),
        600,
        "nothing was published for {time}",
        behind=(*_NO_POSTGRES, "dagster_silent"),
        needs_watching=True,
    ),
    Rule(
        "load_late",
        "age of the load that the published file was made of",
        measures.published(lambda look: look.load_lag_seconds),
        720,
        "the published file is made of a load that is {time} old",
        behind=(*_NO_POSTGRES, "dagster_silent", "refresh_late"),
        needs_watching=True,
    ),
    Rule(
        "canary_late",
        "age of the last canary in the published file",
        measures.canary,
        900,
        "no canary has come through for {time}{words}",
        behind=(*_NO_POSTGRES, "ingest_away", "drain_stopped", "spool_waits", "refresh_late", "load_late"),
        needs_watching=True,
    ),
    Rule(
        "asset_stale",
        "time that an asset has been stale by its freshness policy",
        measures.stale_assets,
        300,
        "{subject} has been stale for {time}",
        behind=(*_NO_REPORT, "refresh_late", "load_late"),
    ),
)
