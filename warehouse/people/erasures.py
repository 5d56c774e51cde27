"""The table `erasures`: who is being erased, under which pseudonym, and what was done. A person's rows are elsewhere.

An erasure is begun (loads and seals wait), has removed all (they may go on), and is finished, once a search of every
store has found nothing; from then on nothing says who it was.
"""

import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg.types.json import Jsonb

from warehouse.errors import ErasureUnfinished, PostgresQueryFailed, one_line
from warehouse.people.errors import ErasureUnderWay, OtherErasureUnfinished
from warehouse.people.subject import Person, Subject, joined, person_from_json
from warehouse.postgres import connect, keep_from_log
from warehouse.queries import people_query

# below what anybody would choose by hand; no app can name a user below zero
LEAST_PSEUDONYM = 2**40
# what the certificate keeps while it is under way: rows about to go, and tables to vacuum
PENDING, CHANGED = "pending", "changed"


@dataclass(frozen=True)
class Erasure:
    """One that is not finished. `certificate` says, by store, what was removed so far."""

    id: int
    pseudonym: int
    reason: str
    person: Person
    certificate: dict[str, Any]
    begun_at: datetime

    @property
    def mark(self) -> str:
        """What stands in the manifest as the reason of files that were written anew.

        With its time: where an older dump was put back, numbers come again.
        """
        return f"erasure {self.id} of {self.begun_at.astimezone(UTC).isoformat()}"


@contextmanager
def alone(database_url: str) -> Iterator[psycopg.Connection]:
    """Connect for as long as an erasure lasts, which is alone on its Postgres.

    Raises ErasureUnderWay, and PostgresQueryFailed for what Postgres refuses anywhere in the block.
    """
    with asked_to("search for a person or to note what was done"), connect(database_url) as connection:
        if connection.execute(people_query("postgres_try_lock").encode()).fetchone() != (True,):
            raise ErasureUnderWay
        keep_from_log(connection)
        yield connection


def require_no_unfinished(fetch: Callable[[str], Sequence[Sequence[Any]]]) -> None:
    """Refuse a load or a seal while rows of somebody are half removed. Raises ErasureUnfinished."""
    for kind, subject in fetch(people_query("postgres_unfinished")):
        found = Subject(kind, subject)
        raise ErasureUnfinished(str(found), f"footfall erase {found.option}")


def open_erasure(connection: psycopg.Connection, subject: Subject) -> tuple[Erasure, bool] | None:
    """Find the one of this subject that was not finished, and whether it had removed all.

    Raises OtherErasureUnfinished where another is half done.
    """
    for kind, other in connection.execute(people_query("postgres_unfinished").encode()):
        if Subject(kind, other) != subject:
            raise OtherErasureUnfinished(Subject(kind, other), Subject(kind, other).option)
    found = connection.execute(people_query("postgres_open_erasure").encode(), [subject.kind, subject.id]).fetchone()
    if found is None:
        return None
    number, pseudonym, reason, is_removed, person, certificate, begun_at = found
    return Erasure(number, pseudonym, reason, person_from_json(person), certificate or {}, begun_at), is_removed


def begin(connection: psycopg.Connection, subject: Subject, person: Person, reason: str, actor: str) -> Erasure:
    """Write down that it begins, or begins again, with what is known of the person; from now on loads wait for it."""
    if found := open_erasure(connection, subject):
        erasure, _ = found
        person = joined(erasure.person, person)
        connection.execute(people_query("postgres_resume_erasure").encode(), [Jsonb(person.as_json()), erasure.id])
        return replace(erasure, person=person)
    pseudonym = -LEAST_PSEUDONYM - secrets.randbelow(2**62)
    values = [subject.kind, subject.id, pseudonym, reason, actor, Jsonb(person.as_json())]
    [(number, begun_at)] = connection.execute(people_query("postgres_insert_erasure").encode(), values).fetchall()
    return Erasure(number, pseudonym, reason, person, {}, begun_at)


def note(connection: psycopg.Connection, erasure: Erasure, store: str, counts: dict[str, Any]) -> None:
    """Add to what was done in a store, in the caller's transaction if there is one."""
    kept = {**erasure.certificate.get(store, {})}
    for name, count in counts.items():
        kept[name] = kept.get(name, 0) + count if isinstance(count, int) else count
    erasure.certificate[store] = kept
    connection.execute(people_query("postgres_note").encode(), [store, Jsonb(kept), erasure.id])


def note_before(connection: psycopg.Connection, erasure: Erasure, store: str, counts: dict[str, int]) -> None:
    """Write down what is about to be removed in one transaction of another engine; of nothing, nothing is written.

    Killed before that transaction, the next run counts the same again; killed behind it, it counts nothing.
    """
    if counts:
        erasure.certificate[PENDING] = {store: counts}
        connection.execute(people_query("postgres_note").encode(), [PENDING, Jsonb({store: counts}), erasure.id])


def note_behind(connection: psycopg.Connection, erasure: Erasure, store: str) -> None:
    """Add what was about to be removed from a store to what was."""
    if counts := erasure.certificate.get(PENDING, {}).get(store):
        with connection.transaction():
            note(connection, erasure, store, counts)
            erasure.certificate[PENDING] = {}
            connection.execute(people_query("postgres_note").encode(), [PENDING, Jsonb({}), erasure.id])


def mark_removed(connection: psycopg.Connection, erasure: Erasure) -> None:
    """Let loads and seals go on."""
    connection.execute(people_query("postgres_removed").encode(), [erasure.id])


def finish(connection: psycopg.Connection, erasure: Erasure, certificate: dict[str, Any]) -> None:
    """Forget who it was and keep what was done."""
    connection.execute(people_query("postgres_finish").encode(), [Jsonb(certificate), erasure.id])


@contextmanager
def asked_to(purpose: str) -> Iterator[None]:
    """Turn the driver's errors into one line. Raises PostgresQueryFailed."""
    try:
        yield
    except psycopg.Error as error:
        raise PostgresQueryFailed(purpose, one_line(error), "run the same command again") from error
