"""The moves of points and credits: what each writes, how it is undone, and that a key makes it once."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import Any

import psycopg
import pytest
from werkzeug.test import TestResponse

from tests.integration.controlling import wait_until
from tests.integration.rewarding import (
    CREDIT_LOGS,
    POINT_LOGS,
    Rewards,
    error_of,
    serve_rewards,
    server_key,
)

USER = 7
LEDGER_ENDED = """
    SELECT count(pg_terminate_backend(pid)) > 0 FROM pg_stat_activity
    WHERE datname = current_database() AND query LIKE '%idempotency_keys%' AND pid <> pg_backend_pid()
"""
WAITING = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()
"""
MOVES: dict[str, dict[str, Any]] = {
    "points/earn": {"user_id": USER, "points": 5},
    "points/redeem": {"user_id": USER, "credits": 1},
    "credits/spend": {"user_id": USER, "credits": 1},
    "points/reverse": {"log_id": 1, "reason": "a mistake"},
}


@pytest.fixture(scope="module")
def served(server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rewards]:
    with serve_rewards(server_url, template_database, tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture
def rewards(served: Rewards) -> Rewards:
    served.empty()
    return served


def stock(rewards: Rewards) -> None:
    """Give the user 550 points in two earnings, and two credits for 200 of them."""
    rewards.made("points/earn", user_id=USER, points=300)
    rewards.made("points/earn", user_id=USER, points=450)
    rewards.made("points/redeem", user_id=USER, credits=2)


def test_earning_adds_points_and_logs_them(rewards: Rewards) -> None:
    first = rewards.made("points/earn", user_id=USER, points=3, related_event="quiz")
    second = rewards.made("points/earn", user_id=USER, points=4)
    assert first == {"log_id": 1, "user_id": USER, "points": 3}
    assert second == {"log_id": 2, "user_id": USER, "points": 7}
    assert rewards.rows(POINT_LOGS) == [("earn", 3, "quiz", None, None), ("earn", 4, None, None, None)]


def test_redeem_says_what_went_and_what_came(rewards: Rewards) -> None:
    rewards.made("points/earn", user_id=USER, points=250)
    answer = rewards.made("points/redeem", user_id=USER, credits=2)
    moved = {"points": 50, "credits": 2, "points_consumed": 200, "credits_added": 2}
    assert answer == {"log_id": 2, "user_id": USER, **moved}
    assert rewards.rows(POINT_LOGS)[1:] == [("redeem", 200, None, None, None)]
    assert rewards.rows(CREDIT_LOGS) == [(2, 200, answer["log_id"])]
    assert rewards.balances(USER) == (50, 2)


def test_price_is_that_of_the_moment(rewards: Rewards) -> None:
    rewards.made("points/earn", user_id=USER, points=10)
    rewards.set("points_per_credit", "3")
    assert rewards.made("points/redeem", user_id=USER, credits=2)["points_consumed"] == 6
    rewards.set("points_per_credit", "4")
    assert rewards.made("points/redeem", user_id=USER, credits=1)["points"] == 0


def test_spending_takes_credits_and_logs_them(rewards: Rewards) -> None:
    stock(rewards)
    answer = rewards.made("credits/spend", user_id=USER, credits=2)
    assert answer == {"log_id": 2, "user_id": USER, "credits": 0}
    assert rewards.rows(CREDIT_LOGS)[1:] == [(-2, 0, None)]
    assert rewards.balances(USER) == (550, 0)


def test_reversed_earning_takes_its_points_back(rewards: Rewards) -> None:
    stock(rewards)
    answer = rewards.made("points/reverse", log_id=2, reason="refund")
    assert answer == {"log_id": 4, "reverses_id": 2, "user_id": USER, "points": 100, "credits": 2}
    assert rewards.rows(POINT_LOGS)[3:] == [("redeem", 450, None, 2, "refund")]
    assert len(rewards.rows(CREDIT_LOGS)) == 1


def test_reversed_redeem_gives_points_for_credits(rewards: Rewards) -> None:
    stock(rewards)
    rewards.set("points_per_credit", "1")
    answer = rewards.made("points/reverse", log_id=3, reason="refund")
    assert answer == {"log_id": 4, "reverses_id": 3, "user_id": USER, "points": 750, "credits": 0}
    assert rewards.rows(POINT_LOGS)[3:] == [("earn", 200, None, 3, "refund")]
    assert rewards.rows(CREDIT_LOGS)[1:] == [(-2, -200, 4)]


def test_first_balance_may_be_as_large_as_any(rewards: Rewards) -> None:
    assert rewards.made("points/earn", user_id=2**63 - 1, points=2**31 - 1)["points"] == 2**31 - 1


@pytest.mark.parametrize("name", MOVES)
def test_same_key_gives_the_stored_answer(rewards: Rewards, name: str) -> None:
    stock(rewards)
    first = rewards.move(name, MOVES[name], "the key")
    before = rewards.tables()
    # in another order, with white space and a field that is not read: the same request
    body = b" " + str({"x": 1, **dict(reversed(MOVES[name].items()))}).replace("'", '"').encode()
    again = rewards.move(name, body, "the key")
    assert (first.status_code, again.status_code, again.data) == (200, 200, first.data)
    assert (first.headers.get("Idempotency-Replayed"), again.headers["Idempotency-Replayed"]) == (None, "true")
    assert rewards.tables() == before


def test_stored_answer_is_given_while_disabled(rewards: Rewards) -> None:
    first = rewards.move("points/earn", MOVES["points/earn"], "the key")
    rewards.set("points_enabled", "0")
    assert rewards.move("points/earn", MOVES["points/earn"], "the key").data == first.data


def test_refused_key_may_be_sent_again(rewards: Rewards) -> None:
    rewards.made("points/earn", user_id=USER, points=99)
    assert rewards.move("points/redeem", MOVES["points/redeem"], "the key").status_code == 409
    rewards.made("points/earn", user_id=USER, points=1)
    assert rewards.move("points/redeem", MOVES["points/redeem"], "the key").status_code == 200


def test_keys_of_two_apps_do_not_meet(rewards: Rewards) -> None:
    one, rotated, other = (server_key(rewards.database_url, app) for app in ("DViz", "DViz", "Other"))
    answers = [
        rewards.move("points/earn", MOVES["points/earn"], "the key", Authorization=f"Bearer {key}").json
        for key in (one, rotated, other, rewards.key)
    ]
    assert [answer["points"] for answer in answers] == [5, 5, 10, 15]  # type: ignore[index]


def test_balances_are_read_while_points_are_disabled(rewards: Rewards) -> None:
    stock(rewards)
    rewards.set("points_enabled", "0")
    assert {error_of(rewards.move(name, body))[:2] for name, body in MOVES.items()} == {(403, "points_disabled")}
    assert rewards.get(f"points/{USER}").status_code == 200


def test_idle_connections_may_have_died(rewards: Rewards) -> None:
    stock(rewards)
    assert rewards.rows(LEDGER_ENDED) == [(True,)]
    assert rewards.made("points/earn", user_id=USER, points=1)["points"] == 551


class Held:
    """Requests that wait for rows which another transaction holds."""

    def __init__(self, rewards: Rewards, locked: str) -> None:
        self.rewards = rewards
        self.other = psycopg.connect(rewards.database_url)
        self.other.execute(locked)
        self.pool = ThreadPoolExecutor(8)
        self.asked: list[Future[TestResponse]] = []

    def ask(self, name: str, body: object, key: str | None = None) -> None:
        """Ask for a move, and come back when it waits."""
        client = self.rewards.client.application.test_client()
        asking = replace(self.rewards, client=client)
        self.asked.append(self.pool.submit(asking.move, name, body, key))
        wait_until(lambda: self.rewards.rows(WAITING) == [(len(self.asked),)], "all to wait for a lock")

    def let_go(self, *statements: str) -> list[TestResponse]:
        """Commit, after more statements, and return the answers."""
        for statement in statements:
            self.other.execute(statement)
        self.other.commit()
        self.other.close()
        answers = [asked.result() for asked in self.asked]
        self.pool.shutdown()
        return answers


Hold = Callable[[str], Held]
OF_USER = f"SELECT FROM {{}} WHERE user_id = {USER} FOR UPDATE"


@pytest.fixture
def hold(rewards: Rewards) -> Hold:
    stock(rewards)
    return partial(Held, rewards)


@pytest.mark.parametrize("name", MOVES)
def test_twins_with_one_key_move_once(rewards: Rewards, hold: Hold, name: str) -> None:
    rows = len(rewards.rows(POINT_LOGS) + rewards.rows(CREDIT_LOGS))
    held = hold(OF_USER.format("user_credits" if name == "credits/spend" else "user_points"))
    for _ in range(3):
        held.ask(name, MOVES[name], "the key")
    answers = held.let_go()
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len({answer.data for answer in answers}) == 1
    assert sorted("Idempotency-Replayed" in answer.headers for answer in answers) == [False, True, True]
    written = len(rewards.rows(POINT_LOGS) + rewards.rows(CREDIT_LOGS)) - rows
    assert written == (2 if name == "points/redeem" else 1)


def test_twin_that_finds_too_little_is_answered_alike(rewards: Rewards, hold: Hold) -> None:
    held = hold(OF_USER.format("user_points"))
    for _ in range(2):
        held.ask("points/redeem", {"user_id": USER, "credits": 5}, "the key")
    assert [answer.status_code for answer in held.let_go()] == [200, 200]
    assert rewards.balances(USER) == (50, 7)


def test_twin_that_finds_too_much_is_answered_alike(rewards: Rewards, hold: Hold) -> None:
    held = hold(OF_USER.format("user_points"))
    for _ in range(2):
        held.ask("points/earn", {"user_id": USER, "points": 2**31 - 1 - 550}, "the key")
    assert [answer.status_code for answer in held.let_go()] == [200, 200]


@pytest.mark.parametrize(("setting", "value"), [("points_enabled", "0"), ("points_per_credit", "100000")])
def test_refused_twin_waits_for_the_first(rewards: Rewards, hold: Hold, setting: str, value: str) -> None:
    held = hold(OF_USER.format("user_points"))
    for _ in range(2):
        held.ask("points/redeem", {"user_id": USER, "credits": 5}, "the key")
        rewards.set(setting, value)
    answers = held.let_go()
    assert [answer.status_code for answer in answers] == [200, 200]
    assert len({answer.data for answer in answers}) == 1


def test_fault_of_the_database_is_not_taken_for_a_twin(rewards: Rewards) -> None:
    rewards.database.execute("ALTER TABLE user_point_logs ADD CONSTRAINT house_rule CHECK (points < 1000)")
    try:
        answer = rewards.move("points/earn", {"user_id": USER, "points": 1000})
    finally:
        rewards.database.execute("ALTER TABLE user_point_logs DROP CONSTRAINT house_rule")
    assert error_of(answer)[:2] == (500, "internal_error")
    assert rewards.balances(USER) == (0, 0)


def test_overtaken_redeem_says_what_is_missing_now(rewards: Rewards, hold: Hold) -> None:
    held = hold(OF_USER.format("user_points"))
    held.ask("points/redeem", {"user_id": USER, "credits": 5})
    (answer,) = held.let_go(f"UPDATE user_points SET points = 420 WHERE user_id = {USER}")
    assert error_of(answer) == (409, "not_enough_points", "credits", 80)


def test_overtaken_spending_says_what_is_missing_now(rewards: Rewards, hold: Hold) -> None:
    held = hold(OF_USER.format("user_credits"))
    held.ask("credits/spend", {"user_id": USER, "credits": 2})
    (answer,) = held.let_go(f"UPDATE user_credits SET credits = 1 WHERE user_id = {USER}")
    assert error_of(answer) == (409, "not_enough_credits", "credits", 1)


def test_credits_spent_meanwhile_keep_a_redeem(rewards: Rewards, hold: Hold) -> None:
    held = hold(OF_USER.format("user_credits"))
    held.ask("points/reverse", {"log_id": 3, "reason": "x"})
    (answer,) = held.let_go(f"UPDATE user_credits SET credits = 1 WHERE user_id = {USER}")
    assert error_of(answer) == (409, "not_enough_credits", "log_id", 1)
    assert rewards.balances(USER) == (550, 1)
    assert len(rewards.rows(POINT_LOGS)) == 3


def test_credits_that_vanish_keep_a_redeem(rewards: Rewards, hold: Hold) -> None:
    held = hold(OF_USER.format("user_credits"))
    held.ask("points/reverse", {"log_id": 3, "reason": "x"})
    (answer,) = held.let_go(f"DELETE FROM user_credits WHERE user_id = {USER}")
    assert error_of(answer) == (409, "not_enough_credits", "log_id", 2)
    assert rewards.balances(USER) == (550, 0)


def test_one_row_is_reversed_by_one_of_two(rewards: Rewards, hold: Hold) -> None:
    held = hold(OF_USER.format("user_points"))
    for reason in ("one", "two"):
        held.ask("points/reverse", {"log_id": 1, "reason": reason})
    answers = held.let_go()
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert error_of(max(answers, key=lambda answer: answer.status_code))[1] == "already_reversed"
    assert rewards.balances(USER) == (250, 2)


def test_first_balance_is_made_by_one_of_many(rewards: Rewards, hold: Hold) -> None:
    held = hold("LOCK TABLE user_points IN SHARE MODE")
    for _ in range(4):
        held.ask("points/earn", {"user_id": 8, "points": 5})
    assert [answer.status_code for answer in held.let_go()] == [200] * 4
    assert rewards.balances(8) == (20, 0)


def test_deadlock_is_not_left_to_the_caller(rewards: Rewards, hold: Hold) -> None:
    held = hold("SET deadlock_timeout = '1min'")
    held.other.execute(OF_USER.format("user_credits"))
    held.ask("points/redeem", {"user_id": USER, "credits": 1})
    # it holds the points and wants the credits, of which this side has one and now wants the other
    (answer,) = held.let_go(OF_USER.format("user_points"))
    assert answer.status_code == 200
    assert rewards.balances(USER) == (450, 3)


def test_twins_with_one_key_for_two_users_move_one(rewards: Rewards, hold: Hold) -> None:
    held = hold("LOCK TABLE idempotency_keys IN SHARE MODE")
    for user in (7, 8):
        held.ask("points/earn", {"user_id": user, "points": 5}, "the key")
    answers = held.let_go()
    assert sorted(answer.status_code for answer in answers) == [200, 409]
    assert error_of(max(answers, key=lambda answer: answer.status_code))[1] == "idempotency_key_reused"
    assert rewards.balances(7)[0] + rewards.balances(8)[0] == 555
