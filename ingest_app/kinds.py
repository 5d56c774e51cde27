"""The kinds of records: for each its name, its type, the table it goes to and how it gets there.

A kind's name is its endpoint's: `events` is `POST /api/events` and `footfall import records --kind events`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
from msgspec import UNSET, structs
from sqlalchemy import Connection
from uuid_utils import uuid7

from ingest_app import records, store
from ingest_app import schema as tables
from ingest_app.event_time import settle
from ingest_app.intake import IMPORTS, Intake
from ingest_app.privacy import NOBODY, Sender

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the server knows of a record: who sent it, when it came, and the oldest event time it believes."""

    received_at: datetime
    sender: Sender = NOBODY
    oldest: datetime | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of record. `to_row(record, receipt)` is pure.

    `write` takes the JSON of an array of rows, at least one, and returns how many were new or changed. `event_table`
    is the table of which it is counted what became of each record, None where rows are of something that is.
    """

    name: str
    record: type[records.Record]
    to_row: Callable[[Any, Receipt], Row]
    write: store.Write
    event_table: str | None = None

    def write_rows(self, connection: Connection, rows: Sequence[Row]) -> int:
        """Write rows that were never spooled; none is fine."""
        if not rows:
            return 0
        intake = Intake(connection, IMPORTS)
        self.accept(intake, len(rows))
        written = self.write(intake, msgspec.json.encode(rows))
        intake.write()
        return written

    def accept(self, intake: Intake, record_count: int) -> None:
        """Count records as accepted, before it is seen what becomes of them."""
        if self.event_table:
            intake.count(self.event_table, accepted=record_count)


def _activity(record: records.Activity, receipt: Receipt) -> Row:
    return {
        "user_id": record.user_id,
        "event_type": record.event_type,
        "action_name": record.action_name,
        **_event_columns(record, receipt),
    }


def _event(record: records.Event, receipt: Receipt) -> Row:
    device = receipt.sender.device
    return {
        "user_id": record.user_id,
        "user_type": record.user_type,
        "app_name": record.app_name,
        "event_type": record.event_type,
        "event_name": record.event_name,
        "country_code": record.country_code or receipt.sender.country_code,
        "ip_hash": receipt.sender.ip_hash,
        "os": record.os or device.os,
        "device_type": record.device_type or device.device_type,
        "session_id": record.session_id,
        "meta": record.meta,
        **_event_columns(record, receipt),
    }


def _document(record: records.Document, receipt: Receipt) -> Row:
    return {
        "user_id": record.user_id,
        "user_type": record.user_type,
        "app_name": record.app_name,
        "level_name": record.level_name,
        "chapter_name": record.chapter_name,
        "document_name": record.document_name,
        "country_code": record.country_code or receipt.sender.country_code,
        "ip_hash": receipt.sender.ip_hash,
        **_event_columns(record, receipt),
    }


def _event_columns(record: records.EventRecord, receipt: Receipt) -> Row:
    created_at, adjusted = settle(record.created_at, record.sent_at, receipt.received_at, receipt.oldest)
    return {
        # in the order of time: new ids are neighbours in the index of event_ids
        "event_id": record.event_id or str(uuid7()),
        "created_at": created_at,
        "created_at_adjusted": adjusted,
        "is_bot": receipt.sender.device.is_bot,
    }


def _visit(record: records.Visit, receipt: Receipt) -> Row:
    return {
        "session_id": record.session_id,
        "ip_hash": receipt.sender.ip_hash,
        "ua_hash": receipt.sender.ua_hash,
        "first_seen_at": receipt.received_at,
        "last_seen_at": receipt.received_at,
    }


def _heartbeat(record: records.Heartbeat, receipt: Receipt) -> Row:
    return {"user_id": record.user_id, "last_seen_at": receipt.received_at}


def _session_heartbeat(record: records.SessionHeartbeat, receipt: Receipt) -> Row:
    country_code = record.country_code or receipt.sender.country_code
    return {**structs.asdict(record), "country_code": country_code, "last_heartbeat": receipt.received_at}


def _stated(record: records.Record, _: Receipt) -> Row:
    """Take just the fields that the client stated, so that an update keeps what it left out."""
    return {name: value for name, value in structs.asdict(record).items() if value is not UNSET}


def event_ids_of(given: Sequence[records.Record], rows: Sequence[Row]) -> list[UUID | str]:
    """Return the ids by which a client can trace or repeat its records; state has one only where it was stated."""
    if "event_id" in rows[0]:
        return [row["event_id"] for row in rows]
    return [found for record in given if (found := getattr(record, "event_id", None))]


KINDS = {
    kind.name: kind
    for kind in (
        Kind("track-visit", records.Visit, _visit, store.see_visitors),
        Kind("heartbeat", records.Heartbeat, _heartbeat, store.see_accounts),
        Kind("sessions/heartbeat", records.SessionHeartbeat, _session_heartbeat, store.see_live_sessions),
        Kind(
            "activity",
            records.Activity,
            _activity,
            store.append_to(tables.activity_events),
            tables.activity_events.name,
        ),
        Kind("events", records.Event, _event, store.append_to(tables.tracking_events), tables.tracking_events.name),
        Kind(
            "documents",
            records.Document,
            _document,
            store.append_to(tables.tracking_documents),
            tables.tracking_documents.name,
        ),
        Kind("accounts", records.Account, _stated, store.upsert_into(tables.accounts)),
        Kind("organizations", records.Organization, _stated, store.upsert_into(tables.organizations)),
        Kind("subscriptions", records.Subscription, _stated, store.upsert_into(tables.subscriptions)),
        Kind("users", records.User, _stated, store.upsert_into(tables.users)),
    )
}
