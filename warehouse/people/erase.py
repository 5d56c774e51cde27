"""The removal of a person from Postgres, warehouse and archive, in the order that a kill at any moment cannot hurt.

First `erasures` says that it begins, and loads and seals wait; then each store lets the rows go in transactions of its
own; then loads may go on. A run that was killed is run again and does what is left. Before this the spool was emptied,
and after it come a refresh, which makes other marts, and the search: see `footfall/erasing.py`.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import duckdb
import psycopg

from warehouse.archive.sources import prepare_sources
from warehouse.archive.store import Archive, open_archive
from warehouse.columns import declared_columns, raw_columns, require_current_file
from warehouse.connection import open_warehouse
from warehouse.people import archive as files
from warehouse.people import postgres, raw
from warehouse.people.erasures import Erasure, begin, mark_removed, note, open_erasure
from warehouse.people.leftovers import remove_leftovers
from warehouse.people.matching import NOBODYS
from warehouse.people.search import LEFTOVERS, Found, search
from warehouse.people.subject import Person, Subject, joined

RESTORED = "restored.duckdb"


@contextmanager
def opened(warehouse_path: Path, archive_address: str | None) -> Iterator[tuple[duckdb.DuckDBPyConnection, Archive]]:
    """Open the warehouse with views of all that the archive has; the caller holds the writer lock.

    Raises WarehouseOutdated, and what `prepare_sources` raises: nobody is erased from an archive that is not whole.
    """
    with open_warehouse(warehouse_path) as warehouse:
        require_current_file(declared_columns(), raw_columns(warehouse), warehouse_path)
    prepare_sources(warehouse_path, archive_address)
    archive = open_archive(archive_address, warehouse_path)
    with open_warehouse(warehouse_path) as warehouse:
        archive.attach(warehouse)
        yield warehouse, archive


def find_person(connection: psycopg.Connection, warehouse: duckdb.DuckDBPyConnection, subject: Subject) -> Person:
    """Tell whose the subject's rows are, with what an unfinished erasure of it knew, and the person's own sessions."""
    person = postgres.find_ids(connection, subject)
    if begun := open_erasure(connection, subject):
        erasure, _ = begun
        person = joined(erasure.person, person)
    if person.user_id is None:
        return person
    named = postgres.find_sessions(connection, person.user_id) | raw.find_sessions(warehouse, person.user_id)
    shared = postgres.sessions_of_others(connection, person.user_id, named)
    shared |= raw.sessions_of_others(warehouse, person.user_id, named)
    addresses = [*postgres.session_addresses(connection, named), *raw.session_addresses(warehouse, named)]
    shared |= _of_several(addresses)
    return joined(person, replace(person, session_ids=tuple(sorted(named - shared))))


def survey(
    connection: psycopg.Connection, warehouse_path: Path, archive_address: str | None, subject: Subject
) -> tuple[Person, list[Found]]:
    """Tell who it is and what is held; the caller holds the writer lock."""
    with opened(warehouse_path, archive_address) as (warehouse, archive):
        person = find_person(connection, warehouse, subject)
        found = search(connection, warehouse, archive, warehouse_path, person)
        nobodys = {
            postgres.STORE: postgres.count_nobodys(connection, person),
            "warehouse.duckdb and archive": raw.count_nobodys(warehouse, person),
        }
    return person, [*found, *(Found(store, NOBODYS, count) for store, count in nobodys.items() if count)]


def remove(
    connection: psycopg.Connection,
    warehouse_path: Path,
    archive_address: str | None,
    subject: Subject,
    person: Person,
    *,
    reason: str,
    actor: str,
) -> Erasure:
    """Remove the person, as `survey` found it, from all stores but marts and spool; the caller holds the writer lock.

    Raises a WarehouseError; then the same call does the rest.
    """
    leftover_count = remove_leftovers(warehouse_path)
    with opened(warehouse_path, archive_address) as (warehouse, archive):
        erasure = begin(connection, subject, person, reason, actor)
        if leftover_count:
            note(connection, erasure, LEFTOVERS, {"files removed, which were not read": leftover_count})
        postgres.remove(connection, erasure, raw.count_late(warehouse, person))
        raw.remove(warehouse, archive, connection, erasure)
        files.rewrite_sealed(warehouse, archive, erasure)
        files.rewrite_others(warehouse, archive, connection, erasure)
        _remove_restored(connection, warehouse_path, erasure)
        mark_removed(connection, erasure)
    postgres.vacuum(connection, erasure)
    return erasure


def _of_several(addresses: Iterable[tuple[str, str]]) -> set[str]:
    """Tell which sessions have rows from more than one address: an app may call all of its sessions alike."""
    found: dict[str, set[str]] = {}
    for session, address in addresses:
        found.setdefault(session, set()).add(address)
    return {session for session, known in found.items() if len(known) > 1}


def _remove_restored(connection: psycopg.Connection, warehouse_path: Path, erasure: Erasure) -> None:
    """Remove what was restored for somebody to look at: it can be restored again, without the person."""
    path = warehouse_path.with_name(RESTORED)
    if path.exists():
        path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        path.unlink()
        note(connection, erasure, RESTORED, {"files removed, which can be restored again": 1})
