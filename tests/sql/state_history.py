"""What happens to the state tables between refreshes, by chance of a seed: rows that come, change and go.

Events and log rows, which only ever come, are in `histories`. No assertion here.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
from psycopg import sql

from tests.sql.moments import MOMENTS, Row
from tests.sql.rows import insert

ADDED, CORRECTED, DELETED = 8, 4, 3
SCHOOLS = [UUID(int=(1 << 100) + number) for number in range(6)]
# what whoever moves points writes in the same transaction as the log row
LEDGER = (
    """
    INSERT INTO user_credit_logs (user_id, credits_added, points_consumed, point_log_id, created_at)
    SELECT user_id, 1, points, id, created_at FROM user_point_logs AS redeemed
    WHERE action = 'redeem' AND reverses_id IS NULL
        AND NOT EXISTS (SELECT FROM user_credit_logs WHERE point_log_id = redeemed.id)
    """,
    """
    INSERT INTO user_points (user_id, points)
    SELECT user_id, sum(CASE action WHEN 'earn' THEN points ELSE -points END) FROM user_point_logs GROUP BY user_id
    ON CONFLICT (user_id) DO UPDATE SET points = excluded.points
    """,
    """
    INSERT INTO user_credits (user_id, credits)
    SELECT user_id, sum(credits_added) FROM user_credit_logs GROUP BY user_id
    ON CONFLICT (user_id) DO UPDATE SET credits = excluded.credits
    """,
)


def change_state(database: psycopg.Connection, chance: random.Random) -> None:
    """Add, correct and delete rows of each table whose rows go at times; hear of some accounts and sessions."""
    for table, make in _MADE.items():
        known = [row for (row,) in database.execute(_sql("SELECT id FROM {} ORDER BY id", table))]
        insert(database, table, [make(chance) for _ in range(ADDED)])
        changed = chance.sample(known, min(len(known), CORRECTED + DELETED))
        for row in changed[:CORRECTED]:
            _correct(database, table, row, make(chance))
        for row in changed[CORRECTED:]:
            database.execute(_sql("DELETE FROM {} WHERE id = %s", table), [row])
    _hear_of_some(database, chance)


def give_points(database: psycopg.Connection) -> None:
    """Let users have more than they can redeem."""
    gift = {"action": "earn", "points": 10**6, "created_at": MOMENTS[0]}
    insert(database, "user_point_logs", [{**gift, "user_id": user} for user in (1, 2, 3)])


def settle_ledger(database: psycopg.Connection) -> None:
    """Buy a credit with the points of each redemption; write down the balances that the logs add up to."""
    for statement in LEDGER:
        database.execute(statement)


def _correct(database: psycopg.Connection, table: str, row: object, content: Row) -> None:
    columns = [name for name in content if name != "id"]
    assigned = sql.SQL(", ").join(sql.SQL("{} = %s").format(sql.Identifier(name)) for name in columns)
    query = sql.SQL("UPDATE {} SET {} WHERE id = %s").format(sql.Identifier(table), assigned)
    database.execute(query, [*(content[name] for name in columns), row])


def _hear_of_some(database: psycopg.Connection, chance: random.Random) -> None:
    now = datetime.now(UTC)
    accounts = [row for (row,) in database.execute("SELECT id FROM accounts ORDER BY id")]
    heartbeats = [{"user_id": row, "last_seen_at": _lately(chance, now)} for row in chance.sample(accounts, 4)]
    database.execute("DELETE FROM user_heartbeats WHERE user_id = ANY (%s)", [[row["user_id"] for row in heartbeats]])
    insert(database, "user_heartbeats", heartbeats)
    database.execute("DELETE FROM tracking_live_sessions")
    insert(database, "tracking_live_sessions", [_a_live_session(chance, now, number) for number in range(6)])
    insert(database, "visitor_sessions", [_a_visit(chance, now) for _ in range(5)])


def _lately(chance: random.Random, now: datetime) -> datetime:
    return now - timedelta(minutes=chance.choice([0, 1, 30, 3_000]))


def _sql(query: str, table: str) -> sql.Composed:
    return sql.SQL(query).format(sql.Identifier(table))


def _uuid(chance: random.Random) -> UUID:
    return UUID(int=chance.getrandbits(128))


def _an_organization(chance: random.Random) -> Row:
    return {"id": _uuid(chance), "name": chance.choice(["North", "South"]), "slug": None}


def _an_account(chance: random.Random) -> Row:
    return {
        "id": _uuid(chance),
        "org_id": chance.choice([None, *SCHOOLS]),
        "username": f"u{chance.randrange(10**6)}",
        "role": chance.choice([None, "admin"]),
    }


def _a_subscription(chance: random.Random) -> Row:
    return {
        "id": _uuid(chance),
        "org_id": chance.choice([None, *SCHOOLS]),
        "plan": chance.choice([None, "free", "pro"]),
        "duration": chance.choice([None, "yearly"]),
        "status": chance.choice(["active", "active", "expired", "cancelled"]),
        "ends_at": chance.choice([*MOMENTS[-3:], datetime(2100, 1, 1, tzinfo=UTC)]),
        "updated_at": chance.choice(MOMENTS),
    }


def _a_user(chance: random.Random) -> Row:
    return {"id": chance.randrange(10**9), "user_type": chance.choice(["student", "teacher"])}


def _a_live_session(chance: random.Random, now: datetime, number: int) -> Row:
    return {
        "session_id": f"live{number}",
        "user_id": chance.choice([1, 2, 3]),
        "user_type": "student",
        "app_name": chance.choice(["DViz", "Speech-to-Code"]),
        "country_code": chance.choice([None, "DE"]),
        "last_heartbeat": _lately(chance, now),
    }


def _a_visit(chance: random.Random, now: datetime) -> Row:
    first = chance.choice(MOMENTS)
    last = chance.choice([first, _lately(chance, now)])
    return {"session_id": str(_uuid(chance)), "first_seen_at": first, "last_seen_at": last}


_MADE: dict[str, Callable[[random.Random], Row]] = {
    "organizations": _an_organization,
    "accounts": _an_account,
    "subscriptions": _a_subscription,
    "users": _a_user,
}
