"""What happens on one day: sessions in the apps, document opens, and what accounts do. The past only.

Every person's day has dice of its own, so it is the same in every window that holds the day.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date
from random import Random
from typing import Any

from footfall.demo.catalogue import ACTION_NAMES, App, draw_app, draw_lesson
from footfall.demo.chance import chance, draw_uuid
from footfall.demo.places import Country, Device, draw_country, draw_device
from footfall.demo.rhythm import SECONDS_A_DAY, Audience, arrival, at, comes, guest_count
from footfall.demo.schools import Person

Record = dict[str, Any]

LONGEST_SESSION_SECONDS = 30 * 60
COMES_TWICE = 0.2
LOGS_IN = 0.7


@dataclass(slots=True)
class Day:
    """The records of one UTC day, by endpoint."""

    day: date
    activity: list[Record] = field(default_factory=list)
    events: list[Record] = field(default_factory=list)
    documents: list[Record] = field(default_factory=list)

    def sort(self) -> None:
        """Put each list in the order in which things happened."""
        for records in (self.activity, self.events, self.documents):
            records.sort(key=lambda record: (record["created_at"], record["event_id"]))


@dataclass(slots=True)
class Session:
    """Somebody in an app from `second` of the day on; each step moves that clock and leaves records."""

    dice: Random
    day: Day
    person: Person | None
    country: Country
    device: Device
    app: App
    second: int

    def play(self, steps: int) -> None:
        """Come in, do `steps` things, and leave."""
        session_id, start = f"s-{self.dice.getrandbits(64):016x}", self.second
        self._event(session_id, "session", "session_start")
        self._event(session_id, "visit", self.dice.choice(self.app.pages))
        for _ in range(steps):
            self.second += self.dice.randint(15, 240)
            if self.app.has_documents and self.dice.random() < 0.55:
                self._open_document(session_id)
            else:
                self._event(session_id, "button", self.dice.choice(self.app.buttons))
        self.second += self.dice.randint(10, 120)
        self._event(session_id, "session", "session_end", {"duration_seconds": self.second - start})

    def _open_document(self, session_id: str) -> None:
        lesson = draw_lesson(self.dice)
        self._event(session_id, "document", "document_open", {"document": lesson.document_name})
        self.day.documents.append(
            {
                **_stamp(self.dice, self.day.day, self.second),
                **self._who(),
                "level_name": lesson.level_name,
                "chapter_name": lesson.chapter_name,
                "document_name": lesson.document_name,
            }
        )

    def _event(self, session_id: str, event_type: str, event_name: str, meta: Record | None = None) -> None:
        self.day.events.append(
            {
                **_stamp(self.dice, self.day.day, self.second),
                **self._who(),
                "event_type": event_type,
                "event_name": event_name,
                "session_id": session_id,
                "os": self.device.os,
                "device_type": self.device.device_type,
                "meta": meta,
            }
        )

    def _who(self) -> Record:
        return {
            "user_id": self.person.user_id if self.person else None,
            "user_type": self.person.app_role if self.person else "guest",
            "app_name": self.app.name,
            "country_code": self.country.code,
        }


def live_through(seed: int, day: date, people: Iterable[Person]) -> Day:
    """Return what `people`, all of them here and free to come, and guests do on a day."""
    lived = Day(day)
    for person in people:
        _live(chance(seed, day, person.user_id), lived, person)
    _welcome_guests(chance(seed, day, "guests"), lived)
    lived.sort()
    return lived


def _live(dice: Random, day: Day, person: Person) -> None:
    signs_up = person.joined == day.day
    if not signs_up and not comes(dice, person.audience, day.day):
        return
    starts = [_arrive(dice, day, person.audience, person.country)]
    if dice.random() < COMES_TWICE:
        starts.append(_arrive(dice, day, person.audience, person.country))
    if signs_up:
        _act(dice, day, person, "signup", min(starts))
    if dice.random() < LOGS_IN:
        _act(dice, day, person, "login", min(starts))
    for start in starts:
        _use_account(dice, day, person, start)
        app = draw_app(dice)
        session = Session(dice, day, person, person.country, person.device, app, start)
        session.play(steps=dice.randint(0, 4))


def _use_account(dice: Random, day: Day, person: Person, start: int) -> None:
    _act(dice, day, person, "app_open", start)
    actions = 0 if person.audience == "student" else dice.randint(0, 4)
    for _ in range(actions):
        _act(dice, day, person, "action", start + dice.randint(20, 900), dice.choice(ACTION_NAMES))


def _act(dice: Random, day: Day, person: Person, event_type: str, second: int, action_name: str | None = None) -> None:
    """Note what an account did; of a person without one there is nothing to note."""
    if person.account_id:
        stamp = _stamp(dice, day.day, second)
        who = {"user_id": str(person.account_id), "event_type": event_type, "action_name": action_name}
        day.activity.append({**stamp, **who})


def _welcome_guests(dice: Random, day: Day) -> None:
    for _ in range(guest_count(dice, day.day)):
        country = draw_country(dice)
        start = _arrive(dice, day, "guest", country)
        session = Session(dice, day, None, country, draw_device(dice), draw_app(dice), start)
        session.play(steps=dice.randint(0, 2))
        if dice.random() < 0.1:
            signup = {"user_id": None, "event_type": "signup", "action_name": None}
            day.activity.append({**_stamp(dice, day.day, session.second), **signup})


def _arrive(dice: Random, day: Day, audience: Audience, country: Country) -> int:
    """Arrive early enough for the session to end on the same UTC day."""
    second = arrival(dice, audience, day.day, country.utc_offset_minutes)
    return min(second, SECONDS_A_DAY - LONGEST_SESSION_SECONDS)


def _stamp(dice: Random, day: date, second: int) -> Record:
    return {"event_id": str(draw_uuid(dice)), "created_at": at(day, second)}
