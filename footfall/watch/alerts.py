"""Which problems people are told of, and when: opened, still open after twelve hours, resolved; each once. Pure.

An alert is a problem by kind and subject. What is on disk is `book.py`, how it is sent `webhook.py` and `email.py`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from footfall.watch.measures import told
from footfall.watch.problems import Judgement, find_rule

REPEAT_AFTER = timedelta(hours=12)
Key = tuple[str, str]
Change = Literal["open", "still open", "resolved"]


@dataclass(frozen=True, slots=True)
class Alert:
    """A problem that was there in the last look, or is not surely gone; `told_at` is None as long as nobody was told.

    `looks` counts, one after the other, those in which it was there before it is told, or gone since.
    """

    kind: str
    subject: str
    sentence: str
    opened_at: datetime
    told_at: datetime | None = None
    looks: int = 0

    @property
    def key(self) -> Key:
        """What makes it the same alert."""
        return self.kind, self.subject


@dataclass(frozen=True, slots=True)
class News:
    """What people are told of an alert."""

    change: Change
    alert: Alert
    at: datetime

    def __str__(self) -> str:
        since = told((self.at - self.alert.opened_at).total_seconds())
        if self.change == "resolved":
            return f"resolved: {self.alert.kind} after {since} (it was: {self.alert.sentence})"
        rule = find_rule(self.alert.kind)
        advice = f" -> {rule.anchor}" if rule else ""
        lasting = f", for {since}" if self.change == "still open" else ""
        return f"{self.change}: {self.alert.kind}{lasting}: {self.alert.sentence}{advice}"


def advance(alerts: Iterable[Alert], judgement: Judgement, now: datetime) -> tuple[list[Alert], list[News]]:
    """Return the alerts after a look, and what is to be told.

    What a look knows nothing of stays as it was: it is neither opened nor resolved.
    """
    before = {alert.key: alert for alert in alerts}
    there = {problem.key for problem in judgement.problems}
    left: list[Alert] = []
    news: list[News] = []
    for problem in judgement.problems:
        known = before.get(problem.key) or Alert(problem.kind, problem.subject, "", now)
        alert, change = _there(known, problem.sentence, now)
        left.append(alert)
        news += [News(change, alert, now)] if change else []
    for alert in (alert for key, alert in before.items() if key not in there):
        gone, change = _gone(alert, judgement)
        left += [gone] if gone else []
        news += [News(change, alert, now)] if change else []
    return left, news


def open_counts(alerts: Iterable[Alert], kinds: Sequence[str]) -> Mapping[str, int]:
    """Count the alerts that people know of, by kind; of each kind."""
    open_kinds = [alert.kind for alert in alerts if alert.told_at]
    return {kind: open_kinds.count(kind) for kind in kinds}


def _there(alert: Alert, sentence: str, now: datetime) -> tuple[Alert, Change | None]:
    seen = replace(alert, sentence=sentence)
    if alert.told_at is None:
        waiting = replace(seen, looks=alert.looks + 1)
        is_sure = waiting.looks >= _looks(alert.kind)
        return (replace(seen, told_at=now, looks=0), "open") if is_sure else (waiting, None)
    if now - alert.told_at >= REPEAT_AFTER:
        return replace(seen, told_at=now, looks=0), "still open"
    return replace(seen, looks=0), None


def _gone(alert: Alert, judgement: Judgement) -> tuple[Alert | None, Change | None]:
    if alert.kind in judgement.unknown_kinds:
        return alert, None
    if alert.told_at is None:
        return None, None
    waiting = replace(alert, looks=alert.looks + 1)
    return (None, "resolved") if waiting.looks >= _looks(alert.kind) else (waiting, None)


def _looks(kind: str) -> int:
    rule = find_rule(kind)
    return rule.looks if rule else 1
