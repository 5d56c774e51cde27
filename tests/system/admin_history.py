"""What the apps of the admin page's tests have sent: some weeks of history, and what goes on now. Sent by HTTP alone.

The same at each run but for the day it ends on; so small that one refresh takes it in.
"""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random
from typing import Any

import requests

from tests.system.conftest import Footfall

BATCH = 1_000
DAYS = 35
MONTHS_OF_LOGINS = 6
APPS = ("DViz", "Alpha")
COUNTRIES = ("DE", "FR", "TR")
LEVELS = ("A1", "B2")
CHAPTERS = ("Verbs", "Nouns")
PLANS = (("basic", "active"), ("basic", "active"), ("pro", "active"), ("pro", "expired"), ("school", "cancelled"))
USERS = range(1, 13)
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"

Record = dict[str, Any]


class Sender:
    """An app's server: it may speak of the past."""

    def __init__(self, footfall: Footfall, key: str) -> None:
        self._url = footfall.url("ingest")
        self._session = requests.Session()
        self._session.headers.update({"Authorization": f"Bearer {key}", "User-Agent": AGENT})

    def send(self, path: str, records: list[Record], method: str = "POST") -> list[Record]:
        """Send records, and return the answers: all must be taken."""
        answers = []
        for first in range(0, len(records), BATCH):
            answer = self._session.request(method, f"{self._url}/api/{path}", json=records[first : first + BATCH])
            assert (answer.status_code, answer.json().get("errors", [])) == (202, []), answer.text
            answers.append(answer.json())
        return answers

    def earn(self, user_id: int, points: int) -> None:
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        body = {"user_id": user_id, "points": points}
        answer = self._session.post(f"{self._url}/api/points/earn", json=body, headers=headers)
        assert answer.status_code == 200, answer.text


def send_history(sender: Sender) -> None:
    """Send what has happened until now."""
    now, dice = datetime.now(UTC), Random(7)
    accounts = [str(uuid.UUID(int=number)) for number in USERS]
    sender.send("accounts", [{"id": each, "username": f"user{n}"} for n, each in enumerate(accounts)], "PUT")
    sender.send("subscriptions", list(_subscriptions(now)), "PUT")
    sender.send("activity", list(_activity(now, accounts, dice)))
    sender.send("events", list(_events(now, dice)))
    sender.send("documents", list(_documents(now, dice)))
    sender.send("track-visit", [{"session_id": f"visitor {number}"} for number in range(40)])
    sender.send("heartbeat", [{"user_id": each} for each in accounts[:5]])
    for user_id in USERS:
        sender.earn(user_id, 100 * user_id)


def beat(sender: Sender, user_id: int, app: str, country: str) -> None:
    """Have a student be live."""
    who = {"session_id": f"live {user_id}", "user_id": user_id, "user_type": "student"}
    sender.send("sessions/heartbeat", [{**who, "app_name": app, "country_code": country}])


def _subscriptions(now: datetime) -> Iterator[Record]:
    for number, (plan, status) in enumerate(PLANS):
        ends_at = now + timedelta(days=90 if status == "active" else -2)
        yield {"id": str(uuid.UUID(int=number)), "plan": plan, "status": status, "ends_at": ends_at.isoformat()}


def _activity(now: datetime, accounts: list[str], dice: Random) -> Iterator[Record]:
    kinds = ("login", "login", "app_open", "action", "signup")
    for day in range(30 * MONTHS_OF_LOGINS):
        for _ in range(dice.randint(2, 9)):
            yield {
                "event_type": dice.choice(kinds),
                "user_id": dice.choice(accounts),
                "created_at": _at(now, day, dice),
            }


def _events(now: datetime, dice: Random) -> Iterator[Record]:
    for day, app in product(range(DAYS), APPS):
        for _ in range(dice.randint(10, 30)):
            yield {
                **{"app_name": app, "event_type": dice.choice(("visit", "button")), "event_name": "home"},
                **{"user_type": "student", "user_id": dice.choice(USERS), "country_code": dice.choice(COUNTRIES)},
                **{"session_id": f"{app} {dice.choice(USERS)}", "created_at": _at(now, day, dice)},
            }


def _documents(now: datetime, dice: Random) -> Iterator[Record]:
    for day, level, chapter in product(range(DAYS), LEVELS, CHAPTERS):
        for _ in range(dice.randint(1, 6)):
            yield {
                **{"level_name": level, "chapter_name": chapter, "document_name": f"{chapter} {dice.randint(1, 3)}"},
                **{"user_type": "student", "user_id": dice.choice(USERS), "country_code": dice.choice(COUNTRIES)},
                **{"app_name": dice.choice(APPS), "created_at": _at(now, day, dice)},
            }


def _at(now: datetime, days_ago: int, dice: Random) -> str:
    return (now - timedelta(days=days_ago, minutes=dice.randint(0, 60))).isoformat()
