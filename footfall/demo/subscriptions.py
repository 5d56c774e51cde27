"""What a school pays for: a subscription starts, renews, changes its plan, lapses, comes back or is cancelled.

Told as changes, each with its day: what an app would PUT on that day. No school and no people here.
"""

from dataclasses import dataclass, field
from datetime import date, timedelta
from random import Random
from typing import Any
from uuid import UUID

from footfall.demo.chance import draw_uuid
from footfall.demo.rhythm import at

PLANS = ("Starter", "Team", "School", "Campus")
PLAN_WEIGHTS = (38, 30, 22, 10)
DAYS_OF = {"monthly": 30, "yearly": 365}

# paid ahead: what is active today has not ended by tomorrow
RENEWAL_DAYS_AHEAD = 3
RENEWS = {"monthly": 0.88, "yearly": 0.6}
LAPSES_IF_NOT_RENEWED = 0.6
COMES_BACK = 0.35
UPGRADES = 0.06
# nobody renews after so many days, so that the world knows how far to look back
LAST_RENEWAL_DAY = 800
LONGEST_LIFE_DAYS = LAST_RENEWAL_DAY + 2 * DAYS_OF["yearly"]

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Change:
    """A record to PUT on a day; it holds only what changes."""

    day: date
    record: Record


@dataclass(slots=True)
class Contract:
    """The changes of one school so far, and the day from which nothing is paid (None: it still is)."""

    dice: Random
    org_id: UUID
    founded: date
    changes: list[Change] = field(default_factory=list)
    closed: date | None = None

    def live(self) -> None:
        """Fill `changes` and `closed` from the first day to the last."""
        start: date | None = self.founded
        while start is not None:
            start = self._subscribe(start)

    def _subscribe(self, start: date) -> date | None:
        """Live through one subscription; return when the school comes back with another one, if it does."""
        plan = self.dice.choices(PLANS, PLAN_WEIGHTS)[0]
        duration = self.dice.choices(("monthly", "yearly"), (70, 30))[0]
        term = timedelta(days=DAYS_OF[duration])
        subscription_id, ends = str(draw_uuid(self.dice)), start + term
        first = {"org_id": str(self.org_id), "plan": plan, "duration": duration, "started_at": _hour(start)}
        self._change(start, subscription_id, "active", ends, first)
        while self._renews(duration, ends):
            plan, upgrade = self._next_plan(plan)
            paid = ends - timedelta(days=RENEWAL_DAYS_AHEAD)
            ends += term
            self._change(paid, subscription_id, "active", ends, upgrade)
        return self._end(subscription_id, ends, term)

    def _renews(self, duration: str, ends: date) -> bool:
        young = (ends - self.founded).days <= LAST_RENEWAL_DAY
        return self.dice.random() < RENEWS[duration] and young

    def _next_plan(self, plan: str) -> tuple[str, Record]:
        if self.dice.random() >= UPGRADES or plan == PLANS[-1]:
            return plan, {}
        larger = PLANS[PLANS.index(plan) + 1]
        return larger, {"plan": larger}

    def _end(self, subscription_id: str, ends: date, term: timedelta) -> date | None:
        if self.dice.random() >= LAPSES_IF_NOT_RENEWED:
            self.closed = ends - timedelta(days=self.dice.randrange(1, term.days - RENEWAL_DAYS_AHEAD))
            self._change(self.closed, subscription_id, "cancelled", self.closed)
            return None
        self._change(ends, subscription_id, "expired", ends)
        if self.dice.random() < COMES_BACK and (ends - self.founded).days <= LAST_RENEWAL_DAY:
            return ends + timedelta(days=self.dice.randrange(4, 40))
        self.closed = ends
        return None

    def _change(self, day: date, key: str, status: str, ends: date, more: Record | None = None) -> None:
        record = {"id": key, "status": status, "ends_at": _hour(ends), "updated_at": _hour(day), **(more or {})}
        self.changes.append(Change(day, record))


def _hour(day: date) -> str:
    return at(day, 9 * 3600)
