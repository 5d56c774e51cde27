"""Where one event is: spool, Postgres, warehouse, archive and published file are asked. What that means: `stations`.

Nothing is changed. A place that does not answer in time, or not at all, is noted with its reason, and the others are
asked all the same. What moves on meanwhile is found where it went, for the places are asked in the order of the path.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import yaml
from psycopg import sql
from psycopg.rows import class_row

from footfall.errors import FootfallError, NoPostgresYet
from footfall.settings import Settings
from footfall.stack import open_database
from ingest_app.errors import IngestError
from ingest_app.spool.reader import read_note
from ingest_app.spool.search import SpooledRecord, search_spools
from warehouse.archive.manifest import read_manifest
from warehouse.archive.sealed_file import SealedFile
from warehouse.archive.store import open_archive
from warehouse.cursors import Cursor
from warehouse.errors import PostgresQueryFailed, WarehouseError, one_line
from warehouse.held_back import held_back
from warehouse.loads import Load
from warehouse.postgres import connect
from warehouse.tables import EVENT_TABLES
from warehouse.trace import LoadedEvent, find_load, find_sealed, likely_days, look
from warehouse.trace_marts import Published, find_in_marts

WAIT_SECONDS = 10.0
STATEMENT_TIMEOUT_MS = 30_000
# the id is noted in the statement that writes the row
SAME_STATEMENT = timedelta(minutes=10)
PROJECT = Path(__file__).parents[1] / "transforms" / "dbt_project.yml"
TABLES_BY_KIND = dict(zip(("activity", "events", "documents"), EVENT_TABLES, strict=True))


@dataclass(frozen=True, slots=True)
class SeenId:
    """An id that came in for a table, and how often it came again."""

    table_name: str
    received_at: datetime
    repeat_count: int
    repeated_at: datetime | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A record that Postgres refused."""

    id: int
    kind: str
    reason: str
    rejected_at: datetime


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event's row in Postgres; `created_at` is a text, for it may be beyond what Python knows."""

    table_name: str
    partition: str
    received_at: datetime
    created_at: str
    is_adjusted: bool
    is_bot: bool
    app_name: str | None
    xid: int


@dataclass(slots=True)
class Findings:
    """What each place says. `not_asked`: which place gave no answer, and why; `drained`: how far, by file."""

    event_id: UUID
    copies: list[SpooledRecord] = field(default_factory=list)
    drained: Mapping[str, int] = field(default_factory=dict)
    ids: list[SeenId] = field(default_factory=list)
    rejected: list[Rejected] = field(default_factory=list)
    stored: list[StoredEvent] = field(default_factory=list)
    # sentences about transactions that have written to event tables and are open, by table
    open_transactions: dict[str, list[str]] = field(default_factory=dict)
    last_erasure_at: datetime | None = None
    loaded: list[LoadedEvent] = field(default_factory=list)
    cursors: Mapping[str, Cursor] = field(default_factory=dict)
    loads: dict[str, Load] = field(default_factory=dict)
    published: dict[str, Published] = field(default_factory=dict)
    not_asked: dict[str, str] = field(default_factory=dict)


def trace(settings: Settings, event_id: UUID, wait_seconds: float = WAIT_SECONDS) -> Findings:
    """Ask every place for the event. Another writer of the warehouse is waited for at most `wait_seconds`."""
    found = Findings(event_id)
    with ExitStack() as opened:
        connection = None
        with _noting(found, "postgres"):
            connection = opened.enter_context(_postgres(settings))
        with _noting(found, "spool"):
            _ask_spool(settings.home / "spool", found)
        with _noting(found, "postgres"):
            _ask_ids(connection, found)
        files = _ask_warehouse(settings, found, wait_seconds)
        with _noting(found, "archive"):
            _ask_archive(settings, found, files)
        with _noting(found, "postgres"):
            _ask_tables(connection, found)
    for event in found.loaded:
        with _noting(found, "warehouse"):
            _ask_load(settings, found, event, wait_seconds)
        with _noting(found, "published"):
            _ask_published(settings, found, event)
    return found


def reporting_timezone(project: Path = PROJECT) -> str:
    """Read off the dbt project whose midnight ends a day in reports."""
    stated = yaml.safe_load(project.read_text(encoding="utf-8"))
    return str(stated["vars"]["reporting_timezone"])


@contextmanager
def _noting(found: Findings, place: str) -> Iterator[None]:
    """Go on without a place that cannot be asked; the first reason counts."""
    try:
        yield
    except (FootfallError, IngestError, WarehouseError, OSError) as error:
        found.not_asked.setdefault(place, one_line(error))
    except psycopg.Error as error:
        found.not_asked.setdefault(place, one_line(PostgresQueryFailed("tell of the event", one_line(error))))


@contextmanager
def _postgres(settings: Settings) -> Iterator[psycopg.Connection]:
    """Connect. Raises NoPostgresYet: to ask is no reason to make one."""
    if not settings.database_url and not (settings.home / "postgres").exists():
        raise NoPostgresYet(settings.home)
    with open_database(settings) as database_url, connect(database_url) as connection:
        connection.execute(f"SET TimeZone = 'UTC'; SET statement_timeout = {STATEMENT_TIMEOUT_MS}")
        yield connection


def _ask_spool(folder: Path, found: Findings) -> None:
    """Find all copies, with what the drainer noted of its cursor; Postgres knows better, where it answers."""
    found.drained = read_note(folder)
    wanted = str(found.event_id)
    found.copies = list(
        search_spools(folder, lambda kind, row: kind in TABLES_BY_KIND and row.get("event_id") == wanted)
    )


def _ask_ids(connection: psycopg.Connection | None, found: Findings) -> None:
    if connection is None:
        return
    values = {"event_id": found.event_id}
    with connection.cursor(row_factory=class_row(SeenId)) as cursor:
        found.ids = cursor.execute(_query("ids"), values).fetchall()
    with connection.cursor(row_factory=class_row(Rejected)) as cursor:
        found.rejected = cursor.execute(_query("rejected"), values).fetchall()
    found.drained = dict(connection.execute(_query("drained")).fetchall())
    [(found.last_erasure_at,)] = connection.execute(_query("last_erasure")).fetchall()
    writers = held_back(lambda query: connection.execute(query.encode()).fetchall())
    found.open_transactions = {table: list(map(str, writers[table])) for table in EVENT_TABLES if table in writers}


def _ask_warehouse(settings: Settings, found: Findings, wait_seconds: float) -> list[SealedFile] | None:
    """Find hot rows; return which files are sealed, None where the archive must say that itself."""
    if not settings.warehouse_path.exists():
        return None
    with _noting(found, "warehouse"):
        looked = look(settings.warehouse_path, found.event_id, wait_seconds)
        found.loaded, found.cursors = list(looked.events), looked.cursors
        return list(looked.files)
    return None


def _ask_archive(settings: Settings, found: Findings, files: list[SealedFile] | None) -> None:
    archive = open_archive(settings.archive_address, settings.warehouse_path)
    sealed = read_manifest(archive) if files is None else files
    received = [seen.received_at for seen in found.ids] + [event.values["received_at"] for event in found.loaded]
    days = likely_days(found.event_id, received)
    found.loaded += find_sealed(archive, found.event_id, sealed, days, everywhere=not _is_known(found))


def _ask_tables(connection: psycopg.Connection | None, found: Findings) -> None:
    """Find the rows in Postgres, each where it must be; where nobody knows when it came, everywhere."""
    if connection is None:
        return
    ranges: dict[str, tuple[object, object]] = {
        seen.table_name: (seen.received_at - SAME_STATEMENT, seen.received_at + SAME_STATEMENT) for seen in found.ids
    }
    ranges |= {event.table_name: (event.values["received_at"],) * 2 for event in found.loaded}
    if not _is_known(found):
        ranges = dict.fromkeys(EVENT_TABLES, ("-infinity", "infinity"))
    for table, (first, last) in ranges.items():
        query = sql.SQL(_query("stored")).format(table=sql.Literal(table), name=sql.Identifier(table))
        with connection.cursor(row_factory=class_row(StoredEvent)) as cursor:
            values = {"event_id": found.event_id, "first": first, "last": last}
            found.stored += cursor.execute(query, values).fetchall()


def _ask_load(settings: Settings, found: Findings, event: LoadedEvent, wait_seconds: float) -> None:
    """Find the load of a row, unless it says nothing of it: of another database, or of a full load after the seal."""
    cursor = found.cursors.get(event.table_name)
    if cursor is None:
        return
    load = find_load(settings.warehouse_path, event.table_name, event.values["xid"], wait_seconds)
    if load is None or not _is_of(event, cursor):
        return
    if event.file is None or load.loaded_at <= datetime.fromisoformat(event.file.sealed_at):
        found.loads[event.table_name] = load


def _ask_published(settings: Settings, found: Findings, event: LoadedEvent) -> None:
    if settings.published_path.exists():
        found.published[event.table_name] = find_in_marts(
            settings.published_path, event.table_name, event.values, reporting_timezone()
        )


def _is_of(event: LoadedEvent, cursor: Cursor) -> bool:
    """Tell whether a row's xid was given out by the database that is loaded now."""
    return event.file is None or event.file.source == f"{cursor.system_identifier}/{cursor.database_oid}"


def _is_known(found: Findings) -> bool:
    """Tell whether it is known where else the event can be; of one that was rejected or drained, that is not known."""
    waits = (copy.seq > found.drained.get(Path(copy.file).stem, 0) for copy in found.copies)
    return bool(found.ids or found.loaded) or any(waits)


@cache
def _queries() -> dict[str, str]:
    text = files("footfall").joinpath("tracing.sql").read_text(encoding="utf-8")
    _, *parts = re.split(r"^-- (\w+) --$", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def _query(name: str) -> Any:  # noqa: ANN401 (psycopg takes no text that was read from a file, but for this)
    return _queries()[name]
