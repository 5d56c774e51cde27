"""The erasure of a person from end to end: spool, Postgres, warehouse, archive, a refresh, the search. No SQL here.

Its middle part is `warehouse.people.erase`; here it meets the spool, which is the write side's, and the refresh. Killed
at any point, the same command goes on: what is done already is found to be gone.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Engine

from footfall.settings import Settings
from ingest_app.database import DRAINING, connect, make_engine
from ingest_app.drain.drainer import drain_all
from ingest_app.errors import IngestError
from ingest_app.migrate import require_current
from ingest_app.spool.files import ask_to_let_go, spools_in
from ingest_app.spool.search import damaged_in, search_spools
from pipelines.errors import PipelineError
from warehouse.errors import WarehouseError
from warehouse.people import archive as files
from warehouse.people import erasures
from warehouse.people.certificate import SPOOL, make_certificate
from warehouse.people.compact import compact
from warehouse.people.erase import opened, remove, survey
from warehouse.people.erasures import Erasure
from warehouse.people.errors import NotRebuilt
from warehouse.people.matching import record_names
from warehouse.people.postgres import vacuum
from warehouse.people.search import Found, search
from warehouse.people.subject import Person, Subject
from warehouse.writer import writer_lock

LOCK_WAIT_SECONDS = 60.0
SPOOL_WAIT_SECONDS = 30.0
POLL_SECONDS = 0.1
PURPOSE = "erase a person"

Refresh = Callable[[], object]


@dataclass(frozen=True)
class Outcome:
    """How it ended: `certificate` where all is gone, else `found` where rows are; neither where nothing was held."""

    person: Person
    found: Sequence[Found] = ()
    certificate: dict[str, Any] = field(default_factory=dict)


def look(settings: Settings, database_url: str, subject: Subject) -> tuple[Person, list[Found]]:
    """Tell what is held on a person, and change nothing."""
    with (
        _current(database_url),
        erasures.alone(database_url) as connection,
        writer_lock(settings.warehouse_path, LOCK_WAIT_SECONDS, purpose=PURPOSE),
    ):
        person, found = survey(connection, settings.warehouse_path, settings.archive_address, subject)
    return person, [*found, *find_in_spools(settings.home / "spool", person)]


def erase(
    settings: Settings, database_url: str, subject: Subject, refresh: Refresh, *, reason: str, actor: str
) -> Outcome:
    """Remove a person from every store and search every store.

    Raises ErasureUnderWay, OtherErasureUnfinished, WriterBusy, NotRebuilt where the refresh failed, and what Postgres
    or an archive may raise.
    """
    with _current(database_url) as engine, erasures.alone(database_url) as connection:
        left = empty_spools(engine, settings.home / "spool")
        begun = _remove(settings, connection, subject, reason, actor)
        if isinstance(begun, Outcome):
            return begun
        # what the marts and the published file show is made anew, of touched days and tables
        try:
            refresh()
        except (IngestError, PipelineError, WarehouseError) as error:
            raise NotRebuilt(subject, subject.option, error) from error
        return _prove(settings, connection, begun, left)


def empty_spools(engine: Engine, folder: Path, wait_seconds: float = SPOOL_WAIT_SECONDS) -> list[str]:
    """Take what waits to Postgres, and have drained files go; name those that stay, damaged ones among them."""
    waiting = {path.name for path in spools_in(folder)}
    if waiting:
        ask_to_let_go(folder)
    deadline = time.monotonic() + wait_seconds
    while waiting:
        # beside the drainer or in its place
        drain_all(engine, folder)
        waiting &= {path.name for path in spools_in(folder)}
        if time.monotonic() > deadline:
            break
        time.sleep(POLL_SECONDS if waiting else 0)
    return [*sorted(waiting), *(path.name for path in damaged_in(folder))]


def find_in_spools(folder: Path, person: Person) -> Iterator[Found]:
    """Count the person's records in each spool of this host."""
    counts: dict[str, int] = {}
    for record in search_spools(folder, partial(record_names, person)):
        counts[record.file] = counts.get(record.file, 0) + 1
    yield from (Found(SPOOL, name, count) for name, count in counts.items())


def _remove(
    settings: Settings, connection: psycopg.Connection, subject: Subject, reason: str, actor: str
) -> Erasure | Outcome:
    path, address = settings.warehouse_path, settings.archive_address
    with writer_lock(path, LOCK_WAIT_SECONDS, purpose=PURPOSE):
        person, found = survey(connection, path, address, subject)
        found += find_in_spools(settings.home / "spool", person)
        if all(one.is_others for one in found) and erasures.open_erasure(connection, subject) is None:
            return Outcome(person)
        return remove(connection, path, address, subject, person, reason=reason, actor=actor)


def _prove(settings: Settings, connection: psycopg.Connection, erasure: Erasure, left: Sequence[str]) -> Outcome:
    """Search every store; of who is found nowhere, forget the name too."""
    path = settings.warehouse_path
    with writer_lock(path, LOCK_WAIT_SECONDS, purpose=PURPOSE):
        compacted_bytes = compact(path)
        with opened(path, settings.archive_address) as (warehouse, archive):
            found = search(connection, warehouse, archive, path, erasure.person)
            rewritten = files.rewritten(warehouse, erasure)
    found += find_in_spools(settings.home / "spool", erasure.person)
    if theirs := [one for one in found if not one.is_others]:
        return Outcome(erasure.person, found=theirs)
    certificate = make_certificate(erasure, rewritten, compacted_bytes, found, left, settings.archive_address)
    erasures.finish(connection, erasure, certificate)
    vacuum(connection, erasure)
    return Outcome(erasure.person, certificate=certificate)


@contextmanager
def _current(database_url: str) -> Iterator[Engine]:
    """Yield an engine for the drainer. Raises DatabaseUnreachable, SchemaNotMigrated, SchemaTooNew."""
    engine = make_engine(database_url, options=DRAINING)
    try:
        with connect(engine) as connection:
            require_current(connection)
        yield engine
    finally:
        engine.dispose()
