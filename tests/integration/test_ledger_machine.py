"""Any sequence of requests: what the ledger answers and what is in its tables equals a plain model after each of them.

`make test` has a few sequences; `make drill` has `DRILL_ROUNDS`, drawn from `DRILL_SEED`. What a move means is said in
`ledger_model.py`.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from werkzeug.test import TestResponse

from tests.integration.ledger_model import LARGEST, Asked, Json, Model, PointLog, Told
from tests.integration.rewarding import Rewards, serve_rewards, server_key

ROUNDS = int(os.environ.get("DRILL_ROUNDS", "40"))
SEED = int(os.environ.get("DRILL_SEED", "0"))
STEPS = 60

# mostly one, so that there is something to redeem, spend and undo
USERS = st.sampled_from([1, 1, 1, 1, 2, 3])
APPS = st.sampled_from(["DViz", "Other"])
# what stands for a number that only the moment knows: all that is there, or one more than that
AMOUNTS = st.one_of(
    st.integers(1, 400), st.sampled_from(["all", "too many", "to the brim", "too much"]), st.just(LARGEST)
)
FEW = st.sampled_from([1, 1, 1, 2, "all", "all", "too many", LARGEST])
BY_CHANCE = st.integers(0, 10_000)
EVENTS = st.one_of(
    st.none(), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=5)
)
PRICES = st.sampled_from([1, 2, 7, 7, 100, 1_000_000])
# somebody wrote them past the checks, or deleted the row
NO_PRICES = st.sampled_from(["0", "-1", "1.5", "1000001", "", "lots", None])
INVALID: list[tuple[str, object]] = [
    ("points/earn", {"user_id": 1, "points": 0}),
    ("points/earn", {"user_id": 1, "points": -5}),
    ("points/earn", {"user_id": 1, "points": LARGEST + 1}),
    ("points/earn", {"user_id": 1, "points": 1.0}),
    ("points/earn", {"user_id": 1, "points": "1"}),
    ("points/earn", {"user_id": 1, "points": True}),
    ("points/earn", {"user_id": 1}),
    ("points/earn", [{"user_id": 1, "points": 1}]),
    ("points/redeem", {"user_id": 1, "credits": 0}),
    ("points/redeem", {"user_id": None, "credits": 1}),
    ("credits/spend", {"user_id": 1, "credits": -1}),
    ("credits/spend", b'{"user_id": 1, "credits": 1'),
    ("points/reverse", {"log_id": 0, "reason": "x"}),
    ("points/reverse", {"log_id": 1, "reason": ""}),
    ("points/reverse", {"log_id": 1}),
]
ROWS = """
    SELECT id, user_id, action, points, related_event, reverses_id, reason FROM user_point_logs
    WHERE event_id IS NULL AND rule_id IS NULL ORDER BY id
"""
CREDIT_ROWS = "SELECT user_id, credits_added, points_consumed, point_log_id FROM user_credit_logs ORDER BY id"
KEYS = "SELECT app_name, idempotency_key, status, answer FROM idempotency_keys"
MOMENT = "SELECT clock_timestamp()"
NEWEST = "SELECT created_at FROM {} WHERE user_id = %s ORDER BY id DESC LIMIT 1"
MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Past:
    """A moment, and what everybody had then."""

    at: datetime
    points: dict[int, int]
    credits: dict[int, int]


@dataclass
class Seen:
    """What was sent, the bytes that were answered to each key, and the past."""

    sent: list[Asked] = field(default_factory=list)
    answers: dict[tuple[str, str], str] = field(default_factory=dict)
    past: list[Past] = field(default_factory=list)


class LedgerMachine(RuleBasedStateMachine):
    """Requests one after the other, each also made of the model."""

    def __init__(self, rewards: Rewards, keys: dict[str, str]) -> None:
        super().__init__()
        self.rewards, self.keys = rewards, keys
        self.model, self.seen, self.names = Model(), Seen(), count(1)
        rewards.empty()
        self.note_moment()

    @initialize(app=APPS, price=PRICES)
    def begin(self, app: str, price: int) -> None:
        self.set_price(price)
        self.earn(app, 1, 400, None)

    @rule(app=APPS, user_id=USERS, amount=AMOUNTS, event=EVENTS)
    def earn(self, app: str, user_id: int, amount: int | str, event: str | None) -> None:
        room = LARGEST - self.model.points.get(user_id, 0)
        points = {"to the brim": room, "too much": room + 1}.get(str(amount), amount)
        if isinstance(points, str) or not 1 <= points <= LARGEST:
            points = 250
        body: Json = {"user_id": user_id, "points": points}
        self.ask_anew(app, "points/earn", body if event is None else {**body, "related_event": event})

    @rule(app=APPS, user_id=USERS, amount=FEW, price=PRICES)
    def redeem_at_price(self, app: str, user_id: int, amount: int | str, price: int) -> None:
        self.set_price(price)
        self.redeem(app, user_id, amount)

    @rule(app=APPS, user_id=USERS, amount=FEW)
    def redeem(self, app: str, user_id: int, amount: int | str) -> None:
        affordable = self.model.points.get(user_id, 0) // (self.model.price or 1)
        self.ask_anew(app, "points/redeem", {"user_id": user_id, "credits": resolve(amount, affordable)})

    @rule(app=APPS, user_id=USERS, amount=FEW)
    def spend(self, app: str, user_id: int, amount: int | str) -> None:
        # who has too few is asked for too many
        if amount != "too many":
            user_id = next((user for user, held in self.model.credits.items() if held), user_id)
        held = self.model.credits.get(user_id, 0)
        self.ask_anew(app, "credits/spend", {"user_id": user_id, "credits": resolve(amount, held)})

    @rule(app=APPS, nth=BY_CHANCE, reason=st.text("ab ", min_size=1, max_size=3))
    def reverse(self, app: str, nth: int, reason: str) -> None:
        # one more than there are: of a row that nobody knows
        log_ids = [*(row.id for row in self.model.point_logs), 10**9]
        self.ask_anew(app, "points/reverse", {"log_id": log_ids[nth % len(log_ids)], "reason": reason})

    @rule(app=APPS)
    @precondition(lambda self: self.model.point_logs and self.model.point_logs[-1].bought)
    def reverse_newest_redeem(self, app: str) -> None:
        log_id = self.model.point_logs[-1].id
        self.ask_anew(app, "points/reverse", {"log_id": log_id, "reason": "newest"})

    @rule(nth=BY_CHANCE, is_written_otherwise=st.booleans())
    @precondition(lambda self: self.seen.sent)
    def ask_again(self, nth: int, is_written_otherwise: bool) -> None:
        asked = self.seen.sent[nth % len(self.seen.sent)]
        sent = {"not": "read", **dict(reversed(asked.body.items()))} if is_written_otherwise else asked.body
        self.ask(asked, sent)

    @rule(nth=BY_CHANCE, other=BY_CHANCE)
    @precondition(lambda self: self.seen.sent)
    def ask_another_by_its_key(self, nth: int, other: int) -> None:
        asked, another = (self.seen.sent[number % len(self.seen.sent)] for number in (nth, other))
        self.ask(replace(another, app=asked.app, key=asked.key))

    @rule(nth=BY_CHANCE, app=APPS)
    @precondition(lambda self: self.seen.sent)
    def ask_by_an_app(self, nth: int, app: str) -> None:
        self.ask(replace(self.seen.sent[nth % len(self.seen.sent)], app=app))

    @rule(nth=BY_CHANCE, invalid=st.sampled_from(INVALID), app=APPS)
    def ask_nonsense(self, nth: int, invalid: tuple[str, object], app: str) -> None:
        # by a key of its own, or by one that was used
        key = self.seen.sent[nth % len(self.seen.sent)].key if self.seen.sent and nth % 2 else f"key {next(self.names)}"
        assert self.send(app, invalid[0], invalid[1], key).status_code == 400
        self.compare()

    @rule(app=APPS, user_id=USERS, no_price=NO_PRICES)
    @precondition(lambda self: len(self.seen.sent) % 4 == 3)
    def redeem_without_price(self, app: str, user_id: int, no_price: str | None) -> None:
        price, self.model.price = self.model.price, None
        if no_price is None:
            self.rewards.database.execute("DELETE FROM admin_settings WHERE setting_key = 'points_per_credit'")
        else:
            self.rewards.set("points_per_credit", no_price)
        self.redeem(app, user_id, 1)
        self.set_price(price or 1)

    @rule(nth=BY_CHANCE, is_again=st.booleans())
    @precondition(lambda self: len(self.seen.sent) % 4 == 1)
    def ask_while_disabled(self, nth: int, is_again: bool) -> None:
        asked = self.seen.sent[nth % len(self.seen.sent)]
        self.set_enabled(False)
        self.ask(asked if is_again else replace(asked, key=f"key {next(self.names)}"))
        self.set_enabled(True)

    @rule(user_id=USERS)
    def state_user(self, user_id: int) -> None:
        body = {"id": user_id, "user_type": "student"}
        headers = {"Authorization": f"Bearer {self.rewards.key}"}
        assert self.rewards.client.put("/api/users", json=body, headers=headers).status_code == 202
        self.model.stated.add(user_id)

    @rule(user_id=USERS, nth=BY_CHANCE)
    def look_back(self, user_id: int, nth: int) -> None:
        past = self.seen.past[nth % len(self.seen.past)]
        response = self.rewards.get(f"points/{user_id}?at={quote(past.at.isoformat())}")
        # who is known by now had nothing then
        assert response.status_code == (200 if self.model.knows(user_id) else 404)
        if response.status_code == 200:
            held = {"points": past.points.get(user_id, 0), "credits": past.credits.get(user_id, 0)}
            assert {**fields(response), "at": None} == {"user_id": user_id, **held, "at": None}

    @rule(user_id=USERS, limit=st.integers(1, 5))
    def read_logs(self, user_id: int, limit: int) -> None:
        points = [row for row in reversed(self.model.point_logs) if row.user_id == user_id]
        assert [as_row(user_id, log) for log in self.pages(user_id, "points", limit)] == points
        credits = [row for row in reversed(self.model.credit_logs) if row.user_id == user_id]
        names = ("credits_added", "points_consumed", "point_log_id")
        found = [tuple(log[name] for name in names) for log in self.pages(user_id, "credits", limit)]
        assert found == [tuple(getattr(row, name) for name in names) for row in credits]

    def set_price(self, price: int) -> None:
        self.rewards.set("points_per_credit", str(price))
        self.model.price = price

    def set_enabled(self, is_enabled: bool) -> None:
        self.rewards.set("points_enabled", str(int(is_enabled)))
        self.model.is_enabled = is_enabled

    def ask_anew(self, app: str, name: str, body: Json) -> None:
        self.ask(Asked(app, f"key {next(self.names)}", name, body))

    def ask(self, asked: Asked, sent: Json | None = None) -> None:
        """Ask both sides, and compare the answers and what is there now."""
        newest = self.newest_id(asked.name)
        response = self.send(asked.app, asked.name, sent or asked.body, asked.key)
        found = as_told(response)
        is_new = found.status == 200 and not found.is_replay
        expected = self.model.ask(asked, found.body.get("log_id", 0))
        assert found == expected, asked
        assert not is_new or found.body["log_id"] > newest
        if found.status == 200:
            # of a replay the very bytes
            assert self.seen.answers.setdefault((asked.app, asked.key), response.text) == response.text
        self.seen.sent.append(asked)
        if is_new:
            self.note_move("credits" if asked.name == "credits/spend" else "points", found.body["user_id"])
        self.note_moment()
        self.compare()

    def send(self, app: str, name: str, body: object, key: str) -> TestResponse:
        return self.rewards.move(name, body, key, Authorization=f"Bearer {self.keys[app]}")

    def compare(self) -> None:
        """Compare all tables and all balances with the model's."""
        model, rows = self.model, self.rewards.rows
        assert dict(rows("SELECT user_id, points FROM user_points")) == model.points
        assert dict(rows("SELECT user_id, credits FROM user_credits")) == model.credits
        assert [PointLog(*row) for row in rows(ROWS)] == model.point_logs
        assert rows(CREDIT_ROWS) == [
            (row.user_id, row.credits_added, row.points_consumed, row.point_log_id) for row in model.credit_logs
        ]
        assert {(app, key): (status, text) for app, key, status, text in rows(KEYS)} == {
            named: (200, text) for named, text in self.seen.answers.items()
        }
        assert min([*model.points.values(), *model.credits.values()], default=0) >= 0
        for user_id in (1, 2, 3):
            response = self.rewards.get(f"points/{user_id}")
            assert response.status_code == (200 if model.knows(user_id) else 404)
            if response.status_code == 200:
                held = {"points": model.points.get(user_id, 0), "credits": model.credits.get(user_id, 0)}
                assert {**fields(response), "updated_at": 0} == {"user_id": user_id, **held, "updated_at": 0}

    def note_moment(self) -> None:
        self.note_past(self.rewards.rows(MOMENT)[0][0])

    def note_move(self, unit: str, user_id: int) -> None:
        """Note the very microsecond of the newest move, and the last one before it."""
        table = "user_credit_logs" if unit == "credits" else "user_point_logs"
        ((at,),) = self.rewards.database.execute(NEWEST.format(table).encode(), [user_id]).fetchall()
        before = self.seen.past[-1]
        assert before.at < at
        self.seen.past.append(replace(before, at=at - MICROSECOND))
        self.note_past(at)

    def note_past(self, at: datetime) -> None:
        self.seen.past.append(Past(at, dict(self.model.points), dict(self.model.credits)))

    def newest_id(self, name: str) -> int:
        table = "user_credit_logs" if name == "credits/spend" else "user_point_logs"
        return int(self.rewards.rows(f"SELECT coalesce(max(id), 0) FROM {table}")[0][0])

    def pages(self, user_id: int, unit: str, limit: int) -> list[Json]:
        """Read a whole log page by page; of nobody, nothing."""
        logs: list[Json] = []
        before = ""
        while True:
            response = self.rewards.get(f"{unit}/{user_id}/logs?limit={limit}{before}")
            assert response.status_code == (200 if self.model.knows(user_id) else 404)
            page = fields(response)
            logs += page.get("logs", [])
            if page.get("next_before") is None:
                return logs
            assert len(page["logs"]) == limit
            before = f"&before={page['next_before']}"


def resolve(amount: int | str, most: int) -> int:
    """Return the amount that a word stands for."""
    meant = {"all": most, "too many": most + 1}.get(str(amount), amount)
    return max(1, min(int(meant), LARGEST))


def fields(response: TestResponse) -> dict[str, Any]:
    found: dict[str, Any] = response.json  # type: ignore[assignment]
    return found


def as_told(response: TestResponse) -> Told:
    if response.status_code == 200:
        return Told(200, fields(response), response.headers.get("Idempotency-Replayed") == "true")
    error = fields(response)["error"]
    return Told(response.status_code, {name: error.get(name) for name in ("code", "field", "missing")})


def as_row(user_id: int, log: Json) -> PointLog:
    """Read a row of a page, whose user is known."""
    names = ("log_id", "action", "points", "related_event", "reverses_id", "reason")
    log_id, *others = (log[name] for name in names)
    return PointLog(log_id, user_id, *others)


@pytest.fixture(scope="module")
def rewards(server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rewards]:
    with serve_rewards(server_url, template_database, tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.mark.timeout(120 + 10 * ROUNDS)
def test_any_requests_move_as_the_model_does(rewards: Rewards) -> None:
    keys = {app: server_key(rewards.database_url, app) for app in ("DViz", "Other")}

    class Machine(LedgerMachine):
        def __init__(self) -> None:
            super().__init__(rewards, keys)

    run_state_machine_as_test(
        seed(SEED)(Machine),
        settings=settings(
            max_examples=ROUNDS,
            stateful_step_count=STEPS,
            deadline=None,
            database=None,
            # to look for a shorter sequence would take minutes
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
