"""The event tables: append-only, partitioned by the day of receipt (UTC), loaded exactly once.

Partitions are made by the SQL function `make_event_partitions` (migration 0003); there is no DEFAULT
partition, for rows in it could never be sealed or dropped by the day.
"""

from typing import Any

from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    Uuid,
    false,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from ingest_app.schema.base import Timestamp, metadata, one_of, timestamp, xid_column


def _event_columns() -> list[Column[Any]]:
    """Columns that make an event safe: who it is, when the database got it, which transaction wrote it."""
    return [
        Column("event_id", Uuid(), nullable=False, server_default=func.gen_random_uuid()),
        Column("received_at", Timestamp, nullable=False, server_default=func.clock_timestamp()),
        # true where the client's created_at was out of bounds and the time of receipt stands instead
        Column("created_at_adjusted", Boolean, nullable=False, server_default=false()),
        Column("is_bot", Boolean, nullable=False, server_default=false()),
        xid_column(),
    ]


activity_events = Table(
    "activity_events",
    metadata,
    Column("id", BigInteger, Identity(), nullable=False),
    Column("user_id", Uuid()),
    Column("event_type", Text, nullable=False),
    Column("action_name", Text),
    timestamp("created_at"),
    *_event_columns(),
    PrimaryKeyConstraint("id", "received_at"),
    one_of("event_type", "login", "signup", "app_open", "action"),
    CheckConstraint("char_length(action_name) <= 128", name="action_name"),
    Index("activity_events_created_at_idx", "created_at"),
    Index("activity_events_event_type_created_at_idx", "event_type", "created_at"),
    Index("activity_events_created_date_idx", text("((created_at AT TIME ZONE 'UTC')::date)")),
    Index("activity_events_xid_idx", "xid"),
    postgresql_partition_by="RANGE (received_at)",
)

tracking_events = Table(
    "tracking_events",
    metadata,
    Column("id", BigInteger, Identity(), nullable=False),
    Column("user_id", BigInteger),
    Column("user_type", Text, nullable=False),
    Column("app_name", String(50), nullable=False),
    Column("event_type", Text, nullable=False),
    Column("event_name", String(100), nullable=False),
    Column("country_code", CHAR(2)),
    Column("ip_hash", CHAR(64)),
    Column("os", String(50)),
    Column("device_type", Text),
    Column("session_id", String(100)),
    Column("meta", JSONB),
    timestamp("created_at"),
    *_event_columns(),
    PrimaryKeyConstraint("id", "received_at"),
    one_of("user_type", "student", "teacher", "guest"),
    one_of("event_type", "visit", "button", "document", "session"),
    one_of("device_type", "desktop", "mobile", "tablet"),
    Index("tracking_events_idx_date", "created_at"),
    Index("tracking_events_idx_app_event", "app_name", "event_type"),
    Index("tracking_events_idx_user", "user_id"),
    Index("tracking_events_idx_country", "country_code"),
    Index("tracking_events_xid_idx", "xid"),
    postgresql_partition_by="RANGE (received_at)",
)

tracking_documents = Table(
    "tracking_documents",
    metadata,
    Column("id", BigInteger, Identity(), nullable=False),
    Column("user_id", BigInteger),
    Column("user_type", Text, nullable=False),
    Column("app_name", String(50), nullable=False, server_default="DViz"),
    Column("level_name", String(100), nullable=False),
    Column("chapter_name", String(150), nullable=False),
    Column("document_name", String(200), nullable=False),
    Column("country_code", CHAR(2)),
    Column("ip_hash", CHAR(64)),
    timestamp("created_at"),
    *_event_columns(),
    PrimaryKeyConstraint("id", "received_at"),
    one_of("user_type", "student", "teacher", "guest"),
    Index("tracking_documents_idx_doc", "level_name", "chapter_name"),
    Index("tracking_documents_idx_date", "created_at"),
    Index("tracking_documents_xid_idx", "xid"),
    postgresql_partition_by="RANGE (received_at)",
)

EVENT_TABLES = (activity_events, tracking_events, tracking_documents)
