"""What happens now: visitors who browse as we watch, round after round. The past is `traffic.py`; no HTTP here."""

import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from random import Random

from footfall.demo.catalogue import App, draw_app, draw_lesson
from footfall.demo.chance import chance, draw_uuid
from footfall.demo.places import BOT, DEVICES, Country, Device, draw_country, draw_device
from footfall.demo.schools import Person
from footfall.demo.traffic import live_through
from footfall.demo.world import Batch, Record, World, split

VISITORS_AT_ONCE = 24
VISITORS_A_ROUND = 3
GUEST_SHARE = 0.35
LEAVES = 0.08
ROUNDS_BETWEEN_BOTS = 5
HEARTBEAT_FIELDS = ("session_id", "user_id", "user_type", "app_name", "country_code")


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody in a browser, in one app; a guest has no `person`."""

    person: Person | None
    country: Country
    device: Device
    app: App
    session_id: str


class LiveTraffic:
    """An endless crowd on the day after `last_day`: the people of the demo's world, guests, and now and then a bot.

    The same seed and day give the same crowd doing the same; only event ids are new, as these are new events.
    """

    def __init__(self, seed: int, last_day: date) -> None:
        self._dice = chance(seed, last_day, "live")
        self._people = World(seed, 1, last_day).people_on(last_day)
        self._crowd = [self._arrival() for _ in range(VISITORS_AT_ONCE)]
        self._round = 0

    def next_round(self) -> Iterator[Batch]:
        """Yield the small batches of one second."""
        self._round += 1
        for place in self._dice.sample(range(VISITORS_AT_ONCE), VISITORS_A_ROUND):
            yield from _step(self._dice, self._crowd[place])
            if self._dice.random() < LEAVES:
                self._crowd[place] = self._arrival()
        if self._round % ROUNDS_BETWEEN_BOTS == 1:
            yield from self._crawl()

    def _arrival(self) -> Visitor:
        dice = self._dice
        person = dice.choice(self._people) if self._people and dice.random() >= GUEST_SHARE else None
        country = person.country if person else draw_country(dice)
        device = person.device if person else draw_device(dice)
        return Visitor(person, country, device, draw_app(dice), f"s-{draw_uuid(dice)}")

    def _crawl(self) -> Sequence[Batch]:
        """A search engine's visit: footfall drops the visit and marks the event."""
        bot = Visitor(None, draw_country(self._dice), BOT, draw_app(self._dice), "s-crawler")
        return _visit(bot), _sent_by(bot, "events", [_event(bot, "visit", "home")])


def still_there(world: World) -> Iterator[Batch]:
    """Yield the browsers of the last day as seen now, one kind of device after the other.

    Visits and heartbeats know no past: without these, a fresh install would show a busy month and an empty now.
    The session ids are those of the day's events, so that being seen twice counts once.
    """
    people = world.people_on(world.last_day)
    accounts = {person.user_id: str(person.account_id) for person in people if person.account_id}
    sessions = {event["session_id"]: event for event in live_through(world.seed, world.last_day, people).events}
    for device in DEVICES:
        here = [e for e in sessions.values() if (e["os"], e["device_type"]) == (device.os, device.device_type)]
        known = [event for event in here if event["user_id"] is not None]
        seen = sorted({accounts[event["user_id"]] for event in known if event["user_id"] in accounts})
        visits = [{"session_id": event["session_id"]} for event in here]
        alive = [{name: event[name] for name in HEARTBEAT_FIELDS} for event in known]
        yield from split("POST", "track-visit", visits, device.user_agent)
        yield from split("POST", "sessions/heartbeat", alive, device.user_agent)
        yield from split("POST", "heartbeat", [{"user_id": key} for key in seen], device.user_agent)


def _step(dice: Random, visitor: Visitor) -> Iterator[Batch]:
    """One visitor's second: they are seen, alive, and do something."""
    yield _visit(visitor)
    if visitor.person:
        yield from _signs_of_life(visitor, visitor.person)
    events = [_event(visitor, "button", dice.choice(visitor.app.buttons))]
    if visitor.app.has_documents and dice.random() < 0.5:
        document = _document(dice, visitor)
        events.append(_event(visitor, "document", "document_open", {"document": document["document_name"]}))
        yield _sent_by(visitor, "documents", [document])
    yield _sent_by(visitor, "events", events)


def _sent_by(visitor: Visitor, kind: str, records: Sequence[Record]) -> Batch:
    return Batch("POST", kind, records, visitor.device.user_agent)


def _visit(visitor: Visitor) -> Batch:
    return _sent_by(visitor, "track-visit", [{"session_id": visitor.session_id, "event_id": str(uuid.uuid4())}])


def _signs_of_life(visitor: Visitor, person: Person) -> Iterator[Batch]:
    session = {
        "session_id": visitor.session_id,
        "user_id": person.user_id,
        "user_type": person.app_role,
        "app_name": visitor.app.name,
        "country_code": visitor.country.code,
    }
    yield _sent_by(visitor, "sessions/heartbeat", [session])
    if person.account_id:
        yield _sent_by(visitor, "heartbeat", [{"user_id": str(person.account_id)}])
        opened = {"event_id": str(uuid.uuid4()), "user_id": str(person.account_id), "event_type": "app_open"}
        yield _sent_by(visitor, "activity", [opened])


def _event(visitor: Visitor, event_type: str, event_name: str, meta: Record | None = None) -> Record:
    return {
        **_who(visitor),
        "event_type": event_type,
        "event_name": event_name,
        "session_id": visitor.session_id,
        "meta": meta,
    }


def _document(dice: Random, visitor: Visitor) -> Record:
    lesson = draw_lesson(dice)
    return {
        **_who(visitor),
        "level_name": lesson.level_name,
        "chapter_name": lesson.chapter_name,
        "document_name": lesson.document_name,
    }


def _who(visitor: Visitor) -> Record:
    return {
        "event_id": str(uuid.uuid4()),
        "user_id": visitor.person.user_id if visitor.person else None,
        "user_type": visitor.person.app_role if visitor.person else "guest",
        "app_name": visitor.app.name,
        "country_code": visitor.country.code,
    }
