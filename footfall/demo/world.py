"""The demo's world as batches to send: what is known before the first day, then day after day. No HTTP here.

Same seed, same day, same records, whatever the window: a second demo on one home, today or tomorrow, adds
only the days that are new.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import Any, Literal

from footfall.demo.schools import Person, School, schools_known_between
from footfall.demo.traffic import live_through

BATCH_LIMIT = 1_000

Record = dict[str, Any]
Method = Literal["POST", "PUT", "DELETE"]


@dataclass(frozen=True, slots=True)
class Batch:
    """At most 1,000 records for one endpoint; of a DELETE each record holds the `id` to delete.

    `user_agent`: the browser that sends them; None for an app's own server.
    """

    method: Method
    kind: str
    records: Sequence[Record]
    user_agent: str | None = None

    @property
    def endpoint(self) -> str:
        """The method and the path, as people write it."""
        return f"{self.method} /api/{self.kind}"


@dataclass(frozen=True)
class World:
    """The `days` days that end with `last_day`, a whole day of the past (UTC): footfall takes no event of the future.

    Days are made when they are asked for; only the people are held.
    """

    seed: int
    days: int
    last_day: date

    @property
    def first_day(self) -> date:
        """The first day of the window."""
        return self.last_day - timedelta(days=self.days - 1)

    def each_day(self) -> Iterator[date]:
        """Yield the days of the window in order."""
        return (self.first_day + timedelta(days=nth) for nth in range(self.days))

    def opening(self) -> Iterator[Batch]:
        """Yield what was there before the first day: schools, people, subscriptions as they stood."""
        known = [school for school in self._schools if school.founded < self.first_day]
        people = [
            (school, person)
            for school, person in self._people
            if person.joined < self.first_day and (person.left is None or person.left >= self.first_day)
        ]
        stood: dict[str, Record] = {}
        for school in known:
            for change in school.changes:
                if change.day < self.first_day:
                    key = change.record["id"]
                    stood[key] = {**stood.get(key, {}), **change.record}
        yield from _state_batches(known, people, list(stood.values()))

    def batches_of(self, day: date) -> Iterator[Batch]:
        """Yield what changed and what happened on a day of the window; who leaves is deleted at its end."""
        yield from _state_batches(
            [school for school in self._schools if school.founded == day],
            [(school, person) for school, person in self._people if person.joined == day],
            [change.record for school in self._schools for change in school.changes if change.day == day],
        )
        lived = live_through(self.seed, day, self.people_on(day))
        yield from split("POST", "activity", lived.activity)
        yield from split("POST", "events", lived.events)
        yield from split("POST", "documents", lived.documents)
        leaving = [person for _, person in self._people if person.left == day]
        accounts = [{"id": str(person.account_id)} for person in leaving if person.account_id]
        yield from split("DELETE", "accounts", accounts)
        yield from split("DELETE", "users", [{"id": person.user_id} for person in leaving])

    def people_on(self, day: date) -> list[Person]:
        """Return who may come on a day: they have joined, have not left, and their school is open."""
        return [person for school, person in self._people if school.is_open(day) and person.is_here(day)]

    @cached_property
    def _schools(self) -> tuple[School, ...]:
        return tuple(schools_known_between(self.seed, self.first_day, self.last_day))

    @cached_property
    def _people(self) -> list[tuple[School, Person]]:
        return [(school, person) for school in self._schools for person in school.people]


def _state_batches(
    schools: Iterable[School], people: Sequence[tuple[School, Person]], subscriptions: Sequence[Record]
) -> Iterator[Batch]:
    accounts = [person.account_record(school.id) for school, person in people if person.account_id]
    yield from split("PUT", "organizations", [school.record() for school in schools])
    yield from split("PUT", "accounts", accounts)
    yield from split("PUT", "users", [person.user_record() for _, person in people])
    yield from split("PUT", "subscriptions", subscriptions)


def split(method: Method, kind: str, records: Sequence[Record], user_agent: str | None = None) -> Iterator[Batch]:
    """Cut records into batches; none for no records."""
    for start in range(0, len(records), BATCH_LIMIT):
        yield Batch(method, kind, records[start : start + BATCH_LIMIT], user_agent)
