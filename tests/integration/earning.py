"""Rules and events for tests of what events earn, and the balances that come of them."""

from typing import Any

import psycopg
from sqlalchemy import Engine

from ingest_app.rewards.rules import Rule, set_rule
from tests.integration.spools import an_event

PRESS = Rule("button", "press", 10)
CAPPED = Rule("button", "press", 10, daily_cap=35)
# every balance beside the sum of its log
DRIFT = """
    SELECT user_id, p.points, l.points
    FROM user_points AS p
    FULL JOIN (
        SELECT user_id, sum(CASE action WHEN 'earn' THEN points ELSE -points END) AS points
        FROM user_point_logs GROUP BY user_id
    ) AS l USING (user_id)
    WHERE p.points IS DISTINCT FROM coalesce(l.points, 0)
"""


def a_press(user_id: int | None = 7, **changed: object) -> dict[str, Any]:
    return an_event(**{"user_type": "student", "user_id": user_id, **changed})


def make(engine: Engine, *rules: Rule) -> None:
    with engine.begin() as connection:
        for rule in rules:
            set_rule(connection, rule, "cli:ada")


def balances(database: psycopg.Connection) -> dict[int, int]:
    assert database.execute(DRIFT).fetchall() == []
    return dict(database.execute("SELECT user_id, points FROM user_points").fetchall())
