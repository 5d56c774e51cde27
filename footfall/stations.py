"""What `footfall.tracing` found, as stations on an event's path: for each a state, a sentence, and data for programs.

Nothing is asked here. Times are UTC.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from footfall.tracing import TABLES_BY_KIND, Findings, StoredEvent
from ingest_app.spool.search import SpooledRecord
from warehouse.loads import is_seen
from warehouse.postgres import snapshot_xmax
from warehouse.tables import EVENT_TABLES
from warehouse.trace import LoadedEvent
from warehouse.trace_marts import BOTS, MartRow, Published, is_canary

NOT_ASKED = "not_asked"
UNKNOWN = "unknown"
OPEN = "open_transaction"
NEXT_REFRESH = "the next refresh takes it (each 5 minutes, or `footfall refresh`)"
REASONS = (
    "it was never accepted (no 202 named it), or by another ingest host, whose spool only that host can search",
    "it came while `tracking_enabled` was 0: such records are answered with `dropped`, and nothing is written",
    "its 202 is of today, and the spool that had it is damaged: `footfall doctor` names such files",
)


@dataclass(frozen=True, slots=True)
class Station:
    """A place on the path and what is true of the event there; `details` say the same to programs."""

    station: str
    state: str
    words: str
    table_name: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as plain data, times in ISO 8601."""
        stated = {"station": self.station, "state": self.state, "table_name": self.table_name, "words": self.words}
        return stated | {name: _plain(value) for name, value in self.details.items()}


def is_known(stations: list[Station]) -> bool:
    """Tell whether any place knows the event."""
    return any(station.state not in {NOT_ASKED, UNKNOWN, OPEN} for station in stations)


def stations(found: Findings) -> list[Station]:
    """Return the stations of each table in the order of the path, then the places that could not be asked."""
    kinds = [*EVENT_TABLES, *sorted({one.kind for one in found.rejected} - TABLES_BY_KIND.keys())]
    known = [station for table in kinds for station in _of_table(found, table)]
    if not found.stored and not found.loaded:
        known += _open_transactions(found)
    known += [Station(place, NOT_ASKED, f"could not be asked: {why}") for place, why in found.not_asked.items()]
    return known if is_known(known) else [*known, _unknown(found)]


def _of_table(found: Findings, table: str) -> Iterator[Station]:
    yield from _copies(found, table)
    yield from _rejected(found, table)
    yield from _stored(found, table)
    yield from _repeats(found, table)
    events = [event for event in found.loaded if event.table_name == table]
    for event in events:
        yield _loaded(found, event)
        yield from _counted(found, event)
        yield _sealed(event)
        yield from _expired(found, event)
    if not events:
        yield from _not_loaded(found, table)


def _copies(found: Findings, table: str) -> Iterator[Station]:
    is_in = any(seen.table_name == table for seen in found.ids)
    for copy in found.copies:
        if TABLES_BY_KIND[copy.kind] == table:
            yield _copy(copy, table, found.drained.get(Path(copy.file).stem, 0), is_in)


def _copy(copy: SpooledRecord, table: str, drained: int, is_in: bool) -> Station:
    received_at = datetime.fromtimestamp(copy.received_at, UTC)
    details = {"file": copy.file, "position": copy.seq, "drained_position": drained, "received_at": received_at}
    if copy.seq <= drained:
        words = f"accepted {_time(received_at)} into {copy.file}, which is drained up to it"
        return Station("spool", "drained", words, table, details)
    words = f"waits in {copy.file} since {_time(received_at)}, records before it: {copy.seq - drained - 1:,} at most"
    if is_in:
        return Station("spool", "repeat_waits", f"a copy {words}; it will count as a duplicate", table, details)
    return Station("spool", "waits", words, table, details)


def _rejected(found: Findings, table: str) -> Iterator[Station]:
    for one in found.rejected:
        if TABLES_BY_KIND.get(one.kind, one.kind) == table:
            words = (
                f"refused by Postgres {_time(one.rejected_at)}: {one.reason}; once that is mended run "
                f"`footfall rejected retry {one.id}`"
            )
            details = {"id": one.id, "kind": one.kind, "reason": one.reason, "rejected_at": one.rejected_at}
            yield Station("rejected", "rejected", words, TABLES_BY_KIND.get(one.kind), details)


def _stored(found: Findings, table: str) -> Iterator[Station]:
    for row in found.stored:
        if row.table_name == table:
            yield Station("postgres", "stored", _stored_words(row), table, {
                "partition": row.partition,
                "received_at": row.received_at,
                "created_at": row.created_at,
                "is_adjusted": row.is_adjusted,
                "is_bot": row.is_bot,
                "app_name": row.app_name,
            })  # fmt: skip


def _stored_words(row: StoredEvent) -> str:
    who = "of a bot" if row.is_bot else "of a person"
    app = f", app {row.app_name}" if row.app_name else ""
    happened = f"happened {row.created_at} UTC"
    if row.is_adjusted:
        happened += " (set by the server, for the time that was sent is out of bounds)"
    return f"stored in {row.partition}: received {_time(row.received_at)}, {happened}, {who}{app}"


def _repeats(found: Findings, table: str) -> Iterator[Station]:
    for seen in found.ids:
        if seen.table_name == table and seen.repeat_count:
            last = f", last {_time(seen.repeated_at)}" if seen.repeated_at else ""
            words = f"the same id came again, {_times(seen.repeat_count)}{last}; the event counts once"
            details = {"repeat_count": seen.repeat_count, "repeated_at": seen.repeated_at}
            yield Station("duplicate", "duplicate", words, table, details)


def _loaded(found: Findings, event: LoadedEvent) -> Station:
    load = found.loads.get(event.table_name)
    if load is None:
        why = "could not be asked" if "warehouse" in found.not_asked else "is not noted (any more)"
        words = f"loaded; by which run {why}"
        return Station("warehouse", "loaded", words, event.table_name, {"run_id": None, "loaded_at": None})
    run = f"run {load.run_id}" if load.run_id else "a load that was no run of Dagster's"
    anew = "" if load.previous_snapshot else ", which took everything anew"
    details = {"run_id": load.run_id, "loaded_at": load.loaded_at}
    words = f"loaded {_time(load.loaded_at)} by {run}{anew}"
    return Station("warehouse", "loaded", words, event.table_name, details)


def _not_loaded(found: Findings, table: str) -> Iterator[Station]:
    rows = [row for row in found.stored if row.table_name == table]
    if rows and "warehouse" not in found.not_asked:
        cursor = found.cursors.get(table)
        if cursor and is_seen(rows[0].xid, cursor.snapshot):
            words = (
                "not in the warehouse, though a load went by it: the nightly comparison stops on that, or "
                "`footfall refresh --full` takes it"
            )
            yield Station("warehouse", "missing", words, table)
        elif cursor and rows[0].xid < snapshot_xmax(cursor.snapshot):
            words = f"was held back by its open transaction, which has committed since: {NEXT_REFRESH}"
            yield Station("warehouse", "waits", words, table)
        else:
            yield Station("warehouse", "waits", f"waits for a load: {NEXT_REFRESH}", table)
    elif not rows and not found.not_asked and any(seen.table_name == table for seen in found.ids):
        yield _gone(found, table)


def _gone(found: Findings, table: str) -> Station:
    [received_at] = [seen.received_at for seen in found.ids if seen.table_name == table]
    words = (
        f"came in {_time(received_at)} and is in no store any more: erased with its person{_last_erasure(found)}, "
        "or somebody deleted it by hand"
    )
    return Station("postgres", "gone", words, table, {"received_at": received_at})


def _counted(found: Findings, event: LoadedEvent) -> Iterator[Station]:
    table, published = event.table_name, found.published.get(event.table_name)
    if is_canary(table, event.values):
        yield Station("marts", "left_out", "left out of every mart: it is the canary", table)
    elif published is None:
        if "published" not in found.not_asked:
            yield Station("marts", "waits", "nothing is published yet: run `footfall refresh`", table)
    elif not _is_published(event, published):
        words = f"the published file, of {_time(published.refreshed_at)}, is of before its load: {NEXT_REFRESH}"
        yield Station("marts", "waits", words, table, {"published_at": published.refreshed_at})
    else:
        for row in published.rows:
            yield _mart_row(row, table, published.refreshed_at)
        yield from _left_out(event, published)


def _mart_row(row: MartRow, table: str, published_at: datetime) -> Station:
    key = ", ".join(f"{name} {_shown(value)}" for name, value in row.key.items())
    details = {"mart": row.mart, "key": row.key, "counts": row.counts, "published_at": published_at}
    if not row.counts:
        words = f"{row.mart} has no row of {key}, though it should: look at the checks of the last refresh"
        return Station("marts", "missing", words, table, details)
    counts = ", ".join(f"{name} {count:,}" for name, count in row.counts.items())
    words = f"{row.mart} counts it at {key}: {counts} (published {_time(published_at)})"
    return Station("marts", "counted", words, table, details)


def _left_out(event: LoadedEvent, published: Published) -> Iterator[Station]:
    """Say why the marts of its table that do not count it do not; that people are not counted as bots goes unsaid."""
    is_bot = event.values["is_bot"]
    names = [name for name in published.left_out if is_bot or name != BOTS]
    if names:
        why = "it is a bot's" if is_bot else "they count other types of events"
        words = f"left out of {', '.join(names)}: {why}"
        yield Station("marts", "left_out", words, event.table_name, {"marts": names, "reason": why})
    if event.table_name != "activity_events" and event.values["user_id"] is None and not is_bot:
        yield Station("marts", "no_user", "counted as an event, not as a user: it names none", event.table_name)


def _is_published(event: LoadedEvent, published: Published) -> bool:
    sealed_at = datetime.fromisoformat(event.file.sealed_at) if event.file else None
    if sealed_at and sealed_at <= published.refreshed_at:
        return True
    return is_seen(event.values["xid"], published.snapshot)


def _sealed(event: LoadedEvent) -> Station:
    if event.file is None:
        day = event.values["received_at"].astimezone(UTC).date()
        words = f"not sealed: its day of receipt, {day} (UTC), is still hot in warehouse.duckdb"
        return Station("archive", "hot", words, event.table_name, {"received_date": day})
    words = (
        f"sealed in {event.file.path} (part {event.file.part} of {event.file.received_date}), "
        f"{_time(datetime.fromisoformat(event.file.sealed_at))}: its id was found in the file"
    )
    return Station("archive", "sealed", words, event.table_name, {
        "path": event.file.path,
        "part": event.file.part,
        "received_date": event.file.received_date,
        "sealed_at": event.file.sealed_at,
    })  # fmt: skip


def _expired(found: Findings, event: LoadedEvent) -> Iterator[Station]:
    if "postgres" in found.not_asked or any(row.table_name == event.table_name for row in found.stored):
        return
    if event.file:
        words = f"expired from Postgres: {event.file.path} is the only place of its row"
        yield Station("postgres", "expired", words, event.table_name)
    else:
        words = "not in Postgres any more, and not sealed: it is just being erased, or somebody deleted it by hand"
        yield Station("postgres", "missing", words, event.table_name)


def _open_transactions(found: Findings) -> Iterator[Station]:
    for table, transactions in found.open_transactions.items():
        words = f"what these have written is seen by nobody before they commit: {'; '.join(transactions)}"
        yield Station("postgres", OPEN, words, table, {"transactions": transactions})


def _unknown(found: Findings) -> Station:
    reasons = [*REASONS, f"it was erased with its person, longer than 8 days ago{_last_erasure(found)}"]
    if found.not_asked:
        reasons = [f"it is where nobody could be asked ({', '.join(found.not_asked)})", *reasons]
    return Station("nowhere", UNKNOWN, "known nowhere; one of these is why", details={"reasons": reasons})


def _last_erasure(found: Findings) -> str:
    if "postgres" in found.not_asked:
        return ""
    return (
        f" (the last erasure was {_time(found.last_erasure_at)})" if found.last_erasure_at else " (nobody was so far)"
    )


def _time(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _shown(value: str | None) -> str:
    return "NULL" if value is None else value


def _plain(value: object) -> object:
    return value.isoformat() if isinstance(value, date) else value
