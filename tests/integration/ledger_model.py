"""The ledger as it is meant, in plain Python: dicts of balances and lists of log rows. No test here, and no database.

It is asked what Postgres was asked, one request after the other, and says what has to be answered and what is there
then. Only the id of a new log row it is told, as ids may have gaps.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

LARGEST = 2**31 - 1
Json = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One request of an app, by its key for the server and its Idempotency-Key."""

    app: str
    key: str
    name: str
    body: Json


@dataclass(frozen=True)
class Told:
    """An answer: the status, and its body, or of a refusal its code, field and what is missing."""

    status: int
    body: Json
    is_replay: bool = False


class Refused(Exception):
    """A move that is not made."""

    def __init__(self, status: int, code: str, field: str | None = None, missing: int | None = None) -> None:
        self.told = Told(status, {"code": code, "field": field, "missing": missing})


@dataclass(frozen=True)
class PointLog:
    """A row of `user_point_logs`; `bought` is how many credits a redeem gave."""

    id: int
    user_id: int
    action: str
    points: int
    related_event: str | None = None
    reverses_id: int | None = None
    reason: str | None = None
    bought: int = field(default=0, compare=False)


@dataclass(frozen=True)
class CreditLog:
    """A row of `user_credit_logs`, less its id."""

    user_id: int
    credits_added: int
    points_consumed: int
    point_log_id: int | None


@dataclass
class Model:
    """What is in the four tables, and what was answered to which key."""

    points: dict[int, int] = field(default_factory=dict)
    credits: dict[int, int] = field(default_factory=dict)
    point_logs: list[PointLog] = field(default_factory=list)
    credit_logs: list[CreditLog] = field(default_factory=list)
    answered: dict[tuple[str, str], tuple[Asked, Told]] = field(default_factory=dict)
    stated: set[int] = field(default_factory=set)
    price: int | None = 100
    is_enabled: bool = True

    def ask(self, asked: Asked, new_id: int) -> Told:
        """Say what is answered; a move that is made gets this log id."""
        earlier, told = self.answered.get((asked.app, asked.key), (None, None))
        if earlier is not None and told is not None:
            if (earlier.name, earlier.body) != (asked.name, asked.body):
                return Refused(409, "idempotency_key_reused", "Idempotency-Key").told
            return Told(told.status, told.body, is_replay=True)
        moves: dict[str, Callable[..., Json]] = {
            "points/earn": self._earn,
            "points/redeem": self._redeem,
            "credits/spend": self._spend,
            "points/reverse": self._reverse,
        }
        try:
            if not self.is_enabled:
                raise Refused(403, "points_disabled")
            told = Told(200, {"log_id": new_id, **moves[asked.name](new_id, **asked.body)})
        except Refused as refused:
            return refused.told
        self.answered[asked.app, asked.key] = asked, told
        return told

    def knows(self, user_id: int) -> bool:
        return user_id in self.stated or user_id in self.points or user_id in self.credits

    def find(self, log_id: int) -> PointLog | None:
        return next((row for row in self.point_logs if row.id == log_id), None)

    def _earn(self, new_id: int, user_id: int, points: int, related_event: str | None = None) -> Json:
        self._give_points(user_id, points, "points")
        self.point_logs.append(PointLog(new_id, user_id, "earn", points, related_event))
        return {"user_id": user_id, "points": self.points[user_id]}

    def _redeem(self, new_id: int, user_id: int, credits: int) -> Json:
        if self.price is None:
            raise Refused(503, "points_per_credit_unusable")
        cost = self.price * credits
        self._require(user_id, self.points, cost, "points")
        if self.credits.get(user_id, 0) + credits > LARGEST:
            raise Refused(409, "balance_too_large", "credits")
        self.points[user_id] -= cost
        self.credits[user_id] = self.credits.get(user_id, 0) + credits
        self.point_logs.append(PointLog(new_id, user_id, "redeem", cost, bought=credits))
        self.credit_logs.append(CreditLog(user_id, credits, cost, new_id))
        moved = {"points_consumed": cost, "credits_added": credits}
        return {"user_id": user_id, "points": self.points[user_id], "credits": self.credits[user_id], **moved}

    def _spend(self, new_id: int, user_id: int, credits: int) -> Json:
        self._require(user_id, self.credits, credits, "credits")
        self.credits[user_id] -= credits
        self.credit_logs.append(CreditLog(user_id, -credits, 0, None))
        return {"user_id": user_id, "credits": self.credits[user_id]}

    def _reverse(self, new_id: int, log_id: int, reason: str) -> Json:
        undone = self.find(log_id)
        if undone is None:
            raise Refused(404, "unknown_log", "log_id")
        if undone.reverses_id is not None:
            raise Refused(409, "is_a_reversal", "log_id")
        if any(row.reverses_id == undone.id for row in self.point_logs):
            raise Refused(409, "already_reversed", "log_id")
        user_id = undone.user_id
        if undone.action == "earn":
            self._require_held(self.points[user_id], undone.points, "points", "log_id")
            self.points[user_id] -= undone.points
        else:
            self._require_held(self.credits[user_id], undone.bought, "credits", "log_id")
            self._give_points(user_id, undone.points, "log_id")
            self.credits[user_id] -= undone.bought
            self.credit_logs.append(CreditLog(user_id, -undone.bought, -undone.points, new_id))
        action = "redeem" if undone.action == "earn" else "earn"
        row = PointLog(new_id, user_id, action, undone.points, None, undone.id, reason)
        self.point_logs.append(row)
        held = {"points": self.points[user_id], "credits": self.credits.get(user_id, 0)}
        return {"reverses_id": undone.id, "user_id": user_id, **held}

    def _give_points(self, user_id: int, points: int, field: str) -> None:
        balance = self.points.get(user_id, 0) + points
        if balance > LARGEST:
            raise Refused(409, "balance_too_large", field)
        self.points[user_id] = balance

    def _require(self, user_id: int, balances: dict[int, int], needed: int, unit: str) -> None:
        if not self.knows(user_id):
            raise Refused(404, "unknown_user", "user_id")
        self._require_held(balances.get(user_id, 0), needed, unit, "credits")

    @staticmethod
    def _require_held(held: int, needed: int, unit: str, field: str) -> None:
        if held < needed:
            raise Refused(409, f"not_enough_{unit}", field, needed - held)
