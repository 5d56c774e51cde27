"""Rows of the state tables and the ledger, at the borders of their rules. Events are in `rows`; no assertion here."""

import random
from collections import Counter
from datetime import timedelta
from itertools import combinations, cycle, product
from uuid import UUID

from tests.sql.moments import AS_OF, MOMENTS, TICK, Row

WINDOW = timedelta(minutes=5)
BORDERS = [AS_OF - WINDOW - TICK, AS_OF - WINDOW, AS_OF - WINDOW + TICK, AS_OF]
A_MONTH = timedelta(days=30)
# what a subscription's status and end may say, one beside the other
SUBSCRIBED = (
    ("active", AS_OF + TICK),
    ("active", AS_OF),
    ("active", AS_OF - TICK),
    ("expired", AS_OF + A_MONTH),
    ("cancelled", AS_OF + A_MONTH),
    ("cancelled", AS_OF - TICK),
)
# what an organization may have: nothing, each of them alone, each two of them
HELD = [held for size in range(3) for held in combinations(SUBSCRIBED, size)]
USER_IDS = range(1, 8)
_FIRST_ID = 1_000_001


def organizations() -> list[Row]:
    """One for each that can be held."""
    return [{"id": _organization(number), "name": f"School {number}"} for number in range(len(HELD))]


def accounts() -> list[Row]:
    """Five of each organization, and five of none."""
    owners = [*(_organization(number) for number in range(len(HELD))), None]
    return [
        {"id": _account(number), "org_id": owner, "username": f"a{number}", "role": None}
        for number, (owner, _) in enumerate(product(owners, range(5)))
    ]


def user_heartbeats() -> list[Row]:
    """Of four in five accounts, at the borders of the window in turn: the last of five never sent one."""
    moments = cycle([*BORDERS, None])
    pairs = zip(accounts(), moments, strict=False)
    return [{"user_id": account["id"], "last_seen_at": moment} for account, moment in pairs if moment]


def subscriptions() -> list[Row]:
    """Those held by the organizations, and plans in every status with ends before, at and after now and midnights."""
    ends = (AS_OF - TICK, AS_OF, AS_OF + TICK, AS_OF + A_MONTH, *MOMENTS[3:6])
    statuses = ("active", "expired", "cancelled")
    written = cycle(MOMENTS[:6])
    rows = [
        _a_subscription(plan=plan, status=status, ends_at=end, updated_at=next(written))
        for (copies, plan), status, end in product(enumerate(("pro", None, "team", "free")), statuses, ends)
        for _ in range(3**copies + copies)
    ]
    rows += [
        _a_subscription(org_id=_organization(number), status=status, ends_at=end, updated_at=next(written))
        for number, held in enumerate(HELD)
        for status, end in held
    ]
    late = _a_subscription(plan="late", ends_at=AS_OF + A_MONTH, updated_at=AS_OF + A_MONTH)
    return [*rows, late, _a_subscription(plan="gone", ends_at=AS_OF)]


def visitor_sessions() -> list[Row]:
    """First and last visits at every two borders of days, and last ones at the borders of the window."""
    spans = [*combinations(MOMENTS, 2), *((moment, moment) for moment in MOMENTS)]
    spans += [(MOMENTS[0], border) for border in BORDERS]
    return [
        {"session_id": f"s{number}", "first_seen_at": first, "last_seen_at": last}
        for number, (first, last) in enumerate(spans)
    ]


def tracking_live_sessions() -> list[Row]:
    """Some users in several sessions, apps and countries, at the borders of the window."""
    chosen = random.Random(4)
    return [
        {
            "session_id": f"live{number}",
            "user_id": chosen.choice(USER_IDS),
            "user_type": chosen.choice(["student", "teacher"]),
            "app_name": chosen.choice(["DViz", "Speech-to-Code"]),
            "country_code": chosen.choice([None, "DE", "IN"]),
            "last_heartbeat": chosen.choice(BORDERS),
        }
        for number in range(60)
    ]


def users() -> list[Row]:
    """Some who are known by nothing but their number, some linked to an account."""
    return [
        {"id": number, "name": f"U{number}" if number % 2 else None, "user_type": "student", "account_id": account}
        for number, account in zip(USER_IDS, cycle([None, _account(1)]), strict=False)
    ]


def rewarded_events() -> list[Row]:
    """What tracking events that earn points have of their own: who sent them, when, and their ids."""
    return [
        {"event_id": UUID(int=(3 << 124) + number), "user_id": user, "created_at": moment}
        for number, (moment, user) in enumerate(product(MOMENTS[:6], USER_IDS[:3]))
    ]


def user_point_logs() -> list[Row]:
    """Points earned at every border of days, some by rules, part of them redeemed, and some of both undone.

    One user never had any. Ids are told, for other rows name them; they are beyond those that Postgres gives.
    """
    moved = [
        _a_move(user_id=user, action=action, points=points * user, created_at=moment)
        for number, moment in enumerate(MOMENTS)
        for user in USER_IDS[:-1]
        for action, points in (("earn", 100 + number), ("redeem", 40))
        if (number + user) % 3 or action == "earn"
    ]
    rewards = [_a_move(**event, action="earn", points=5, rule_id=1) for event in rewarded_events()]
    rows = [{**row, "id": _FIRST_ID + number} for number, row in enumerate([*moved, *rewards])]
    undone = [row for row in rows[3::11] if row["user_id"] > 1]
    return rows + [_a_reversal(row, rows[-1]["id"] + number) for number, row in enumerate(undone, 1)]


def user_credit_logs() -> list[Row]:
    """Credits added with each redemption, gone with each that was undone, and some of them spent."""
    bought = [
        {
            "user_id": row["user_id"],
            "credits_added": 3 * sign,
            "points_consumed": row["points"] * sign,
            "created_at": row["created_at"],
            "point_log_id": row["id"],
        }
        for row, sign in ((row, _credits_sign(row)) for row in user_point_logs())
        if sign
    ]
    none = {"points_consumed": 0, "point_log_id": None}
    spends = product(MOMENTS[-3:], USER_IDS[:3])
    return [*bought, *({**none, "user_id": u, "credits_added": -1 - u, "created_at": at} for at, u in spends)]


def user_points() -> list[Row]:
    """What the log adds up to."""
    balances = Counter[int]()
    for row in user_point_logs():
        balances[row["user_id"]] += row["points"] if row["action"] == "earn" else -row["points"]
    return [{"user_id": user, "points": balances[user]} for user in USER_IDS]


def user_credits() -> list[Row]:
    """What the log adds up to; one user has a balance of none and no log."""
    balances = Counter[int]({USER_IDS[-1]: 0})
    for row in user_credit_logs():
        balances[row["user_id"]] += row["credits_added"]
    return [{"user_id": user, "credits": credits} for user, credits in balances.items()]


def drifted_points() -> list[Row]:
    """A balance of which no log knows anything."""
    return [{"user_id": 1_000, "points": 1}]


def _a_move(**overrides: object) -> Row:
    return {"reverses_id": None, "reason": None, "event_id": None, "rule_id": None, **overrides}


def _a_reversal(row: Row, number: int) -> Row:
    """Undo it on the next day on which anything happens, so that a day has but half of both."""
    later = [moment for moment in MOMENTS if moment > row["created_at"] + timedelta(hours=1)]
    action = "redeem" if row["action"] == "earn" else "earn"
    undone = {"user_id": row["user_id"], "points": row["points"], "reverses_id": row["id"], "reason": "by mistake"}
    return _a_move(id=number, action=action, created_at=min(later, default=row["created_at"]), **undone)


def _credits_sign(row: Row) -> int:
    """Tell whether credits come (1) or go (-1) with a move of points; 0 where there are none."""
    if row["reverses_id"] is None:
        return 1 if row["action"] == "redeem" else 0
    return -1 if row["action"] == "earn" else 0


def _a_subscription(**overrides: object) -> Row:
    return {
        "org_id": None,
        "plan": "pro",
        "duration": "yearly",
        "status": "active",
        "ends_at": AS_OF,
        "updated_at": MOMENTS[0],
        **overrides,
    }


def _organization(number: int) -> UUID:
    return UUID(int=(1 << 124) + number)


def _account(number: int) -> UUID:
    return UUID(int=(2 << 124) + number)
