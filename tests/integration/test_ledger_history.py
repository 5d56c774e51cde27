"""What the ledger tells: balances now and at any time, and pages of the log, in the order of the moves."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest

from tests.integration.rewarding import Rewards, error_of, serve_rewards

USER, STATED, NOBODY = 7, 8, 9
MICROSECOND = timedelta(microseconds=1)


@pytest.fixture(scope="module")
def served(server_url: str, template_database: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rewards]:
    with serve_rewards(server_url, template_database, tmp_path_factory.mktemp("home")) as found:
        yield found


@pytest.fixture
def rewards(served: Rewards) -> Rewards:
    served.empty()
    served.database.execute("INSERT INTO users (id, user_type) VALUES (%s, 'student')", [STATED])
    return served


def moves(rewards: Rewards) -> None:
    """Earn, redeem, spend, redeem again and have that reversed; another user earns, too."""
    rewards.made("points/earn", user_id=USER, points=500, related_event="quiz")
    rewards.made("points/redeem", user_id=USER, credits=2)
    rewards.made("credits/spend", user_id=USER, credits=1)
    log_id = rewards.made("points/redeem", user_id=USER, credits=1)["log_id"]
    rewards.made("points/reverse", log_id=log_id, reason="refund")
    rewards.made("points/earn", user_id=STATED, points=1)


def found(rewards: Rewards, path: str) -> dict[str, Any]:
    response = rewards.get(path)
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.json  # type: ignore[assignment]
    return body


def balance_at(rewards: Rewards, at: datetime) -> tuple[int, int]:
    body = found(rewards, f"points/{USER}?at={quote(at.isoformat())}")
    assert datetime.fromisoformat(body["at"]) == at
    return body["points"], body["credits"]


def times(rewards: Rewards, log: str) -> list[datetime]:
    logs = found(rewards, f"{log}/{USER}/logs?limit=1000")["logs"]
    return [datetime.fromisoformat(row["created_at"]) for row in reversed(logs)]


def test_history_is_told_without_its_balance(rewards: Rewards) -> None:
    moves(rewards)
    rewards.database.execute("TRUNCATE user_points, user_credits")
    assert found(rewards, f"points/{USER}")["points"] == 0
    assert balance_at(rewards, datetime.now(UTC) + timedelta(seconds=1)) == (300, 1)


def test_balance_is_of_the_last_move(rewards: Rewards) -> None:
    moves(rewards)
    body = found(rewards, f"points/{USER}")
    assert {**body, "updated_at": None} == {"user_id": USER, "points": 300, "credits": 1, "updated_at": None}
    assert datetime.fromisoformat(body["updated_at"]) == max(times(rewards, "points") + times(rewards, "credits"))


def test_stated_user_has_nothing_yet(rewards: Rewards) -> None:
    nothing = {"user_id": STATED, "points": 0, "credits": 0}
    assert found(rewards, f"points/{STATED}") == {**nothing, "updated_at": None}
    assert found(rewards, f"points/{STATED}?at=2026-01-01T00:00:00Z") == {**nothing, "at": "2026-01-01T00:00:00Z"}
    for log in ("points", "credits"):
        assert found(rewards, f"{log}/{STATED}/logs") == {"user_id": STATED, "logs": [], "next_before": None}


@pytest.mark.parametrize("path", ["points/9", "points/9?at=2026-01-01T00:00:00Z", "points/9/logs", "credits/9/logs"])
def test_user_whom_nobody_knows_is_not_found(rewards: Rewards, path: str) -> None:
    assert error_of(rewards.get(path))[:3] == (404, "unknown_user", "user_id")


def test_balance_at_any_time_is_after_whole_moves(rewards: Rewards) -> None:
    moves(rewards)
    earned, redeemed, again, reversed_ = times(rewards, "points")
    _, spent, *_ = times(rewards, "credits")
    expected = [(0, 0), (500, 0), (300, 2), (300, 1), (200, 2), (300, 1)]
    moments = [earned - MICROSECOND, earned, redeemed, spent, again, reversed_]
    assert [balance_at(rewards, at) for at in moments] == expected
    # up to the very microsecond of the next move
    assert [balance_at(rewards, at - MICROSECOND) for at in moments[1:]] == expected[:-1]
    assert balance_at(rewards, reversed_ + timedelta(days=9_999)) == (300, 1)


def test_time_may_be_in_any_zone(rewards: Rewards) -> None:
    moves(rewards)
    earned, *_ = times(rewards, "points")
    local = earned.astimezone(timezone(timedelta(hours=5, minutes=30))).isoformat()
    assert found(rewards, f"points/{USER}?at={quote(local)}")["points"] == 500


def test_log_of_points_shows_each_move_whole(rewards: Rewards) -> None:
    moves(rewards)
    nothing = dict.fromkeys(("related_event", "reverses_id", "reason", "event_id", "rule_id"))
    no_credits = {"credits_added": None, "points_consumed": None}
    logs = found(rewards, f"points/{USER}/logs")["logs"]
    assert [{name: value for name, value in log.items() if name != "created_at"} for log in logs] == [
        {"log_id": 4, "action": "earn", "points": 100, **nothing, "reverses_id": 3, "reason": "refund"}
        | {"credits_added": -1, "points_consumed": -100},
        {"log_id": 3, "action": "redeem", "points": 100, **nothing, "credits_added": 1, "points_consumed": 100},
        {"log_id": 2, "action": "redeem", "points": 200, **nothing, "credits_added": 2, "points_consumed": 200},
        {"log_id": 1, "action": "earn", "points": 500, **nothing, "related_event": "quiz", **no_credits},
    ]


def test_log_of_credits_shows_each_move(rewards: Rewards) -> None:
    moves(rewards)
    logs = found(rewards, f"credits/{USER}/logs")["logs"]
    assert [tuple(log.values())[:4] for log in logs] == [
        (4, -1, -100, 4),
        (3, 1, 100, 3),
        (2, -1, 0, None),
        (1, 2, 200, 2),
    ]


@pytest.mark.parametrize("log", ["points", "credits"])
@pytest.mark.parametrize("limit", [1, 2, 3, 4, 5])
def test_pages_show_each_row_once(rewards: Rewards, log: str, limit: int) -> None:
    moves(rewards)
    pages = [found(rewards, f"{log}/{USER}/logs?limit={limit}")]
    while before := pages[-1]["next_before"]:
        # a row that comes while somebody reads on moves no page
        rewards.made("points/earn", user_id=USER, points=1)
        pages.append(found(rewards, f"{log}/{USER}/logs?limit={limit}&before={before}"))
    assert [row["log_id"] for page in pages for row in page["logs"]] == [4, 3, 2, 1]
    assert {len(page["logs"]) for page in pages[:-1]} <= {limit}


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("points/x", "user_id"),
        ("points/-1", "user_id"),
        ("points/07", "user_id"),
        ("points/1e1", "user_id"),
        (f"points/{2**63}", "user_id"),
        ("points/%D9%A1", "user_id"),
        ("points/x/logs", "user_id"),
        ("credits/x/logs", "user_id"),
        ("points/7?at=now", "at"),
        ("points/7?at=", "at"),
        ("points/7?at=1700000000", "at"),
        ("points/7?at=2026-01-01", "at"),
        ("points/7?at=2026-01-01T00:00:00", "at"),
        ("points/7?at=2026-01-01T00:00:00+01:00", "at"),
        ("points/7?at=1800-01-01T00:00:00Z", "at"),
        ("points/7?at=2026-01-01T00:00:00Z&at=2026-01-01T00:00:00Z", "at"),
        ("points/7?limit=5", "limit"),
        ("points/7?At=2026-01-01T00:00:00Z", "At"),
        ("points/7/logs?limit=0", "limit"),
        ("points/7/logs?limit=1001", "limit"),
        ("points/7/logs?limit=-1", "limit"),
        ("points/7/logs?limit=ten", "limit"),
        ("points/7/logs?limit=1.0", "limit"),
        ("points/7/logs?before=0", "before"),
        (f"credits/7/logs?before={2**63}", "before"),
        ("credits/7/logs?at=2026-01-01T00:00:00Z", "at"),
    ],
)
def test_bad_query_is_refused_by_its_name(rewards: Rewards, path: str, field: str) -> None:
    moves(rewards)
    assert error_of(rewards.get(path))[:3] == (400, "invalid_record", field)


@pytest.mark.parametrize("path", ["points/7", "points/7/logs", "credits/7/logs"])
def test_history_needs_a_key(rewards: Rewards, path: str) -> None:
    assert rewards.client.get(f"/api/{path}").status_code == 401
    assert rewards.client.get(f"/api/{path}?key={rewards.key}").status_code == 404


def test_log_rows_are_in_the_order_of_moves(rewards: Rewards) -> None:
    def earn_and_redeem(_: int) -> None:
        mine = replace(rewards, client=rewards.client.application.test_client())
        for _ in range(10):
            mine.made("points/earn", user_id=USER, points=100)
            assert mine.move("points/redeem", {"user_id": USER, "credits": 1}).status_code in {200, 409}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(earn_and_redeem, range(8)))
    for log in ("points", "credits"):
        assert all(earlier <= later for earlier, later in pairwise(times(rewards, log)))
    logs = reversed(found(rewards, f"points/{USER}/logs?limit=1000")["logs"])
    balance = 0
    for row in logs:
        balance += row["points"] if row["action"] == "earn" else -row["points"]
        assert balance >= 0
    assert balance == rewards.balances(USER)[0]


def test_clock_that_is_put_back_moves_no_row(rewards: Rewards) -> None:
    moves(rewards)
    ahead = "UPDATE user_points SET updated_at = now() + interval '1 hour'"
    rewards.database.execute(f"ALTER TABLE user_points DISABLE TRIGGER set_updated_at; {ahead}; ")
    rewards.database.execute("ALTER TABLE user_points ENABLE TRIGGER set_updated_at")
    rewards.made("points/earn", user_id=USER, points=1)
    rewards.made("points/redeem", user_id=USER, credits=1)
    assert rewards.rows("SELECT count(*) FROM user_point_logs WHERE created_at > now() + interval '59 minutes'") == [
        (2,)
    ]
