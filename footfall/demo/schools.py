"""Who there is: schools that are founded one after another, and their students, teachers and managers.

A school's whole life follows from the seed and its number, so any window of days sees the same school.
What its people do on a day is `traffic.py`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Any, Literal
from uuid import UUID

from footfall.demo.chance import chance, draw_uuid
from footfall.demo.places import Country, Device, draw_country, draw_device, draw_person_name, draw_town
from footfall.demo.rhythm import Audience, at
from footfall.demo.subscriptions import LONGEST_LIFE_DAYS, Change, Contract

FIRST_FOUNDING = date(2000, 1, 3)
DAYS_BETWEEN_FOUNDINGS = 14
# a school that has lapsed is still known for a while
KNOWN_AFTER_CLOSING_DAYS = 90
MOST_PEOPLE = 100

SCHOOL_FORMS = ("Academy", "College", "Grammar School", "High School", "Learning Centre")

Record = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Person:
    """A user of the apps; with `account_id` also an account. `left` is the day on which both are deleted."""

    user_id: int
    account_id: UUID | None
    audience: Audience
    name: str
    email: str
    country: Country
    device: Device
    joined: date
    left: date | None

    def is_here(self, day: date) -> bool:
        """Tell whether the person has joined and not yet left."""
        return self.joined <= day and (self.left is None or day < self.left)

    @property
    def app_role(self) -> Literal["student", "teacher"]:
        """What the person is in the apps, which know no managers."""
        return "student" if self.audience == "student" else "teacher"

    def user_record(self) -> Record:
        """Return what an app would PUT to /api/users."""
        record = {
            "id": self.user_id,
            "user_type": self.audience,
            "name": self.name,
            "email": self.email,
            "country_code": self.country.code,
        }
        return {**record, "account_id": str(self.account_id)} if self.account_id else record

    def account_record(self, org_id: UUID) -> Record:
        """Return what an app would PUT to /api/accounts."""
        joined_at = at(self.joined, 0)
        return {
            "id": str(self.account_id),
            "username": self.email.partition("@")[0],
            "display_name": self.name,
            "role": self.audience,
            "org_id": str(org_id),
            "created_at": joined_at,
            "updated_at": joined_at,
        }


@dataclass(frozen=True, slots=True)
class School:
    """A customer from `founded` until `closed`, the first day on which nothing is paid any more."""

    id: UUID
    name: str
    slug: str
    founded: date
    closed: date | None
    changes: tuple[Change, ...]
    people: tuple[Person, ...]

    def is_open(self, day: date) -> bool:
        """Tell whether people use the apps on this day."""
        return self.founded <= day and (self.closed is None or day < self.closed)

    def record(self) -> Record:
        """Return what an app would PUT to /api/organizations."""
        founded_at = at(self.founded, 0)
        return {
            "id": str(self.id),
            "name": self.name,
            "slug": self.slug,
            "created_at": founded_at,
            "updated_at": founded_at,
        }


def schools_known_between(seed: int, first_day: date, last_day: date) -> Iterator[School]:
    """Yield the schools that are open, or closed not long ago, on any day of the window, the oldest first."""
    forgotten = first_day - timedelta(days=KNOWN_AFTER_CLOSING_DAYS)
    oldest = (forgotten - FIRST_FOUNDING).days - LONGEST_LIFE_DAYS
    newest = (last_day - FIRST_FOUNDING).days
    for number in range(max(0, oldest // DAYS_BETWEEN_FOUNDINGS), newest // DAYS_BETWEEN_FOUNDINGS + 1):
        school = _school(seed, number)
        if school.founded <= last_day and (school.closed is None or school.closed > forgotten):
            yield school


def _school(seed: int, number: int) -> School:
    dice = chance(seed, "school", number)
    founded = FIRST_FOUNDING + timedelta(days=number * DAYS_BETWEEN_FOUNDINGS + dice.randrange(DAYS_BETWEEN_FOUNDINGS))
    name = f"{draw_town(dice)} {dice.choice(SCHOOL_FORMS)}"
    slug = f"{name.lower().replace(' ', '-')}-{number}"
    contract = Contract(dice, draw_uuid(dice), founded)
    contract.live()
    people = tuple(_people(dice, number, slug, contract))
    return School(contract.org_id, name, slug, founded, contract.closed, tuple(contract.changes), people)


def _people(dice: Random, number: int, slug: str, contract: Contract) -> Iterator[Person]:
    country = draw_country(dice)
    teachers: list[Audience] = ["teacher"] * dice.randint(1, 3)
    students: list[Audience] = ["student"] * dice.randint(4, 12)
    audiences: list[Audience] = ["admin", *teachers, *students]
    for place, audience in enumerate(audiences):
        joined = contract.founded + timedelta(days=_days_until_joining(dice, audience))
        left = joined + timedelta(days=dice.randint(20, 250)) if dice.random() < 0.5 else None
        first, last = draw_person_name(dice)
        user_id = number * MOST_PEOPLE + place
        has_account = audience != "student" or dice.random() < 0.4
        person = Person(
            user_id=user_id,
            account_id=draw_uuid(dice) if has_account else None,
            audience=audience,
            name=f"{first} {last}",
            email=f"{first}.{last}.{user_id}@{slug}.example".lower(),
            country=country if dice.random() < 0.9 else draw_country(dice),
            device=draw_device(dice),
            joined=joined,
            left=left if audience != "admin" else None,
        )
        if contract.closed is None or joined < contract.closed:
            yield person


def _days_until_joining(dice: Random, audience: Audience) -> int:
    """Managers come first, then the teachers; students come over the months."""
    if audience == "admin":
        return 0
    return dice.randrange(10) if audience == "teacher" else 5 + int(dice.expovariate(1 / 70))
