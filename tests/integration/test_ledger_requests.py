"""What the ledger refuses: each refusal has its status and code, and writes nothing at all."""

from collections.abc import Iterator
from typing import Any

import pytest

from ingest_app.database import make_engine
from ingest_app.keys import create_key
from tests.integration.rewarding import Rewards, error_of, serve_rewards

# has 50 points and 2 credits; the next one is only stated; the last one is nobody
USER, STATED, NOBODY, RICH = 7, 8, 9, 10
EARN: dict[str, Any] = {"user_id": USER, "points": 5}
REDEEM: dict[str, Any] = {"user_id": USER, "credits": 1}
SPEND = REDEEM
REVERSE: dict[str, Any] = {"log_id": 1, "reason": "x"}
BODIES = {"points/earn": EARN, "points/redeem": REDEEM, "credits/spend": SPEND, "points/reverse": REVERSE}
AMOUNTS = {"points/earn": "points", "points/redeem": "credits", "credits/spend": "credits", "points/reverse": "log_id"}
NO_AMOUNTS: dict[str, object] = {
    "zero": 0,
    "negative": -1,
    "huge": 2**63,
    "beyond any": 10**400,
    "float": 1.5,
    "whole float": 1.0,
    "text": "1",
    "true": True,
    "null": None,
    "list": [1],
    "object": {"amount": 1},
}
NO_BODIES: dict[str, bytes] = {
    "nothing": b"",
    "white space": b" ",
    "array": b'[{"user_id": 7, "points": 1, "credits": 1, "log_id": 1, "reason": "x"}]',
    "empty array": b"[]",
    "empty object": b"{}",
    "number": b"7",
    "null": b"null",
    "two objects": b'{"user_id": 7, "points": 1} {"user_id": 7, "points": 1}',
    "cut short": b'{"user_id": 7, "points": 1',
    "exponent": b'{"user_id": 7, "points": 1e0, "credits": 1e0, "log_id": 1e0, "reason": "x"}',
    "no UTF-8": b'{"user_id": 7, "points": "\xff", "credits": "\xff", "log_id": 1, "reason": "\xff"}',
    "not a number": b'{"user_id": NaN, "points": NaN, "credits": NaN, "log_id": NaN, "reason": "x"}',
}


@pytest.fixture(scope="module")
def rewards(server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rewards]:
    """One for all: what is refused leaves it as it was."""
    with serve_rewards(server_url, template_database, tmp_path_factory.mktemp("home")) as found:
        found.database.execute("INSERT INTO users (id, user_type) VALUES (%s, 'student')", [STATED])
        found.made("points/earn", user_id=USER, points=250)
        found.made("points/redeem", user_id=USER, credits=2)
        found.made("points/earn", user_id=RICH, points=2**31 - 1)
        yield found


@pytest.fixture
def unchanged(rewards: Rewards) -> Iterator[Rewards]:
    before = rewards.tables()
    yield rewards
    assert rewards.tables() == before


@pytest.mark.parametrize("amount", NO_AMOUNTS)
@pytest.mark.parametrize("name", BODIES)
def test_amount_that_is_none_is_named(unchanged: Rewards, name: str, amount: str) -> None:
    response = unchanged.move(name, {**BODIES[name], AMOUNTS[name]: NO_AMOUNTS[amount]})
    assert error_of(response)[:2] == (400, "invalid_record")
    assert error_of(response)[2] == AMOUNTS[name] or amount == "beyond any"


@pytest.mark.parametrize("body", NO_BODIES)
@pytest.mark.parametrize("name", BODIES)
def test_body_is_exactly_one_object(unchanged: Rewards, name: str, body: str) -> None:
    assert error_of(unchanged.move(name, NO_BODIES[body]))[:2] == (400, "invalid_record")


@pytest.mark.parametrize(
    ("name", "changed", "field"),
    [
        ("points/earn", {"points": 2**31}, "points"),
        ("points/earn", {"user_id": -1}, "user_id"),
        ("points/earn", {"user_id": 2**63}, "user_id"),
        ("points/earn", {"user_id": "7"}, "user_id"),
        ("points/earn", {"user_id": True}, "user_id"),
        ("points/earn", {"related_event": ""}, "related_event"),
        ("points/earn", {"related_event": "x" * 101}, "related_event"),
        ("points/earn", {"related_event": "a\0b"}, "related_event"),
        ("points/earn", {"related_event": 5}, "related_event"),
        ("points/redeem", {"credits": 2**31}, "credits"),
        ("credits/spend", {"credits": 2**31}, "credits"),
        ("points/reverse", {"reason": ""}, "reason"),
        ("points/reverse", {"reason": "x" * 201}, "reason"),
        ("points/reverse", {"reason": None}, "reason"),
        ("points/reverse", {"reason": "\0"}, "reason"),
    ],
)
def test_field_out_of_bounds_is_named(unchanged: Rewards, name: str, changed: dict[str, object], field: str) -> None:
    assert error_of(unchanged.move(name, BODIES[name] | changed))[:3] == (400, "invalid_record", field)


@pytest.mark.parametrize("missing", ["user_id", "points"])
def test_missing_field_is_named(unchanged: Rewards, missing: str) -> None:
    body = {name: value for name, value in EARN.items() if name != missing}
    assert error_of(unchanged.move("points/earn", body))[:3] == (400, "invalid_record", missing)


@pytest.mark.parametrize(
    ("name", "body", "error"),
    [
        ("points/redeem", REDEEM, (409, "not_enough_points", "credits", 50)),
        ("points/redeem", {"user_id": USER, "credits": 2**31 - 1}, (409, "not_enough_points", "credits", 214748364650)),
        ("points/redeem", {"user_id": STATED, "credits": 1}, (409, "not_enough_points", "credits", 100)),
        ("points/redeem", {"user_id": NOBODY, "credits": 1}, (404, "unknown_user", "user_id", None)),
        ("credits/spend", {"user_id": USER, "credits": 3}, (409, "not_enough_credits", "credits", 1)),
        ("credits/spend", {"user_id": STATED, "credits": 3}, (409, "not_enough_credits", "credits", 3)),
        ("credits/spend", {"user_id": RICH, "credits": 1}, (409, "not_enough_credits", "credits", 1)),
        ("credits/spend", {"user_id": NOBODY, "credits": 3}, (404, "unknown_user", "user_id", None)),
        ("points/earn", {"user_id": RICH, "points": 1}, (409, "balance_too_large", "points", None)),
        ("points/earn", {"user_id": USER, "points": 2**31 - 1}, (409, "balance_too_large", "points", None)),
        ("points/reverse", REVERSE, (409, "not_enough_points", "log_id", 200)),
        ("points/reverse", {"log_id": 99, "reason": "x"}, (404, "unknown_log", "log_id", None)),
        ("points/reverse", {"log_id": 2**63 - 1, "reason": "x"}, (404, "unknown_log", "log_id", None)),
    ],
)
def test_refused_move_says_why(unchanged: Rewards, name: str, body: object, error: tuple[object, ...]) -> None:
    assert error_of(unchanged.move(name, body)) == error


@pytest.mark.parametrize("name", BODIES)
def test_move_without_a_key_is_refused(unchanged: Rewards, name: str) -> None:
    response = unchanged.client.post(
        f"/api/{name}", json=BODIES[name], headers={"Authorization": f"Bearer {unchanged.key}"}
    )
    assert error_of(response)[:3] == (400, "idempotency_key_missing", "Idempotency-Key")


@pytest.mark.parametrize(
    "key",
    ["x" * 256, "a\tb", "\x7f", "\xe9", "\x00"],
    ids=["too long", "a tab", "a control character", "not ASCII", "a NUL"],
)
def test_key_that_is_none_is_refused(unchanged: Rewards, key: str) -> None:
    headers = {"HTTP_AUTHORIZATION": f"Bearer {unchanged.key}", "HTTP_IDEMPOTENCY_KEY": key}
    response = unchanged.client.post("/api/points/earn", json=EARN, environ_overrides=headers)
    assert error_of(response)[:3] == (400, "idempotency_key_invalid", "Idempotency-Key")


@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("scope", ["write", "admin"])
def test_only_servers_move_points(rewards: Rewards, name: str, scope: str) -> None:
    engine = make_engine(rewards.database_url)
    with engine.begin() as connection:
        key = create_key(connection, scope)
    engine.dispose()
    before = rewards.tables()
    response = rewards.move(name, BODIES[name], Authorization=f"Bearer {key}")
    assert error_of(response)[:2] == (403, "not_allowed")
    assert rewards.tables() == before


def test_unknown_key_of_a_server_is_refused(unchanged: Rewards) -> None:
    assert error_of(unchanged.move("points/earn", EARN, Authorization="Bearer x"))[:2] == (401, "not_authenticated")


# what changes something first begins anew, and so comes last
@pytest.fixture
def begun(rewards: Rewards) -> Rewards:
    rewards.empty()
    rewards.made("points/earn", user_id=USER, points=250)
    return rewards


def refusals_of(rewards: Rewards, name: str, bodies: list[dict[str, object]], key: str | None = None) -> set[str]:
    """Send bodies that are refused, and return the codes; nothing may be written by any."""
    before = rewards.tables()
    codes = {error_of(rewards.move(name, body, key))[1] for body in bodies}
    assert rewards.tables() == before
    return codes


def test_key_with_another_body_is_refused(begun: Rewards) -> None:
    begun.move("points/redeem", REDEEM, "the key")
    bodies: list[dict[str, object]] = [{**REDEEM, "credits": 2}, {**REDEEM, "user_id": 8}]
    assert refusals_of(begun, "points/redeem", bodies, "the key") == {"idempotency_key_reused"}
    # the very same body at another address
    assert refusals_of(begun, "credits/spend", [REDEEM], "the key") == {"idempotency_key_reused"}


def test_row_is_reversed_once_and_no_reversal_is(begun: Rewards) -> None:
    reversal = begun.made("points/reverse", log_id=1, reason="x")["log_id"]
    assert refusals_of(begun, "points/reverse", [REVERSE]) == {"already_reversed"}
    assert refusals_of(begun, "points/reverse", [{"log_id": reversal, "reason": "x"}]) == {"is_a_reversal"}


def test_spent_credits_keep_their_redeem(begun: Rewards) -> None:
    log_id = begun.made("points/redeem", user_id=USER, credits=2)["log_id"]
    begun.made("credits/spend", user_id=USER, credits=1)
    assert refusals_of(begun, "points/reverse", [{"log_id": log_id, "reason": "x"}]) == {"not_enough_credits"}


def test_redeem_of_unknown_credits_is_not_reversed(begun: Rewards) -> None:
    begun.database.execute("INSERT INTO user_point_logs (user_id, action, points) VALUES (7, 'redeem', 1)")
    assert refusals_of(begun, "points/reverse", [{"log_id": 2, "reason": "x"}]) == {"not_reversible"}


def test_full_balances_take_no_more(begun: Rewards) -> None:
    begun.database.execute(f"INSERT INTO user_credits (user_id, credits) VALUES ({USER}, {2**31 - 1})")
    assert refusals_of(begun, "points/redeem", [REDEEM]) == {"balance_too_large"}
    begun.database.execute("UPDATE user_credits SET credits = 5")
    log_id = begun.made("points/redeem", user_id=USER, credits=2)["log_id"]
    begun.made("points/earn", user_id=USER, points=2**31 - 1 - 50)
    assert refusals_of(begun, "points/reverse", [{"log_id": log_id, "reason": "x"}]) == {"balance_too_large"}


def test_disabled_points_do_not_move(begun: Rewards) -> None:
    begun.set("points_enabled", "0")
    assert {code for name, body in BODIES.items() for code in refusals_of(begun, name, [body])} == {"points_disabled"}


@pytest.mark.parametrize("price", ["0", "-5", "1.5", "", " 7", "007", "1000001", "99999999999999999999", "x"])
def test_redeem_without_a_price_asks_to_mend_it(begun: Rewards, price: str) -> None:
    begun.set("points_per_credit", price)
    response = begun.move("points/redeem", REDEEM)
    assert error_of(response)[:2] == (503, "points_per_credit_unusable")
    assert "footfall settings set" in response.text
    assert int(response.headers["Retry-After"]) > 0


def test_absent_price_is_none(begun: Rewards) -> None:
    begun.database.execute("DELETE FROM admin_settings WHERE setting_key = 'points_per_credit'")
    assert refusals_of(begun, "points/redeem", [REDEEM]) == {"points_per_credit_unusable"}
