"""What steers the write side: settings, keys, the audit log, seen event ids, spool cursors, rejects, erasures."""

from sqlalchemy import (
    ARRAY,
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    String,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from ingest_app.schema.base import Timestamp, metadata, one_of, timestamp, xid_column

admin_settings = Table(
    "admin_settings",
    metadata,
    Column("setting_key", String(50), primary_key=True),
    Column("setting_value", String(100), nullable=False),
    xid_column(),
    Index("admin_settings_xid_idx", "xid"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("key_hash", CHAR(64), nullable=False, unique=True),
    Column("scope", Text, nullable=False),
    Column("app_name", String(50)),
    Column("allowed_origins", ARRAY(Text), nullable=False, server_default="{}"),
    timestamp("created_at"),
    Column("revoked_at", Timestamp),
    Column("last_used_at", Timestamp),
    Column("requests_per_second", Integer, nullable=False, server_default="1000"),
    one_of("scope", "write", "server", "admin"),
    CheckConstraint("requests_per_second > 0", name="requests_per_second"),
)

admin_audit_log = Table(
    "admin_audit_log",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", JSONB),
    timestamp("created_at"),
    Index("admin_audit_log_created_at_idx", "created_at"),
)

# one row per accepted event, in the event's own transaction: the constraint that makes a retry count once.
# By table: an app that gives one id to an event and to a document means two things that happened
event_ids = Table(
    "event_ids",
    metadata,
    Column("event_id", Uuid(), primary_key=True),
    Column("table_name", String(50), primary_key=True),
    Column("received_at", Timestamp, nullable=False, server_default=func.clock_timestamp()),
    # how often it came again, and when last: a retry counts once, and who traces it sees that it was one
    Column("repeat_count", Integer, nullable=False, server_default="0"),
    Column("repeated_at", Timestamp),
    Index("event_ids_received_at_idx", "received_at", postgresql_using="brin"),
)

# how far each spool of each node is drained, moved in the transaction that writes its rows
spool_cursors = Table(
    "spool_cursors",
    metadata,
    Column("spool_name", Text, primary_key=True),
    Column("drained_seq", BigInteger, nullable=False, server_default="0"),
    timestamp("updated_at"),
)

rejected_records = Table(
    "rejected_records",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("kind", Text, nullable=False),
    Column("event_id", Uuid()),
    Column("reason", Text, nullable=False),
    # text, not jsonb: a body may be refused for the very thing that jsonb refuses
    Column("body", Text, nullable=False),
    timestamp("rejected_at"),
    Index("rejected_records_rejected_at_idx", "rejected_at"),
    # housekeeping asks of each old event id whether a rejected record names it
    Index("rejected_records_event_id_idx", "event_id"),
)

# who was erased is told only while it is under way: `subject` and `person` (ids, sessions) go when it is finished
erasures = Table(
    "erasures",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("subject_kind", Text, nullable=False),
    Column("subject", Text),
    Column("person", JSONB),
    # in the place of the user's id in the ledger, drawn by chance
    Column("pseudonym", BigInteger, nullable=False),
    Column("reason", String(200), nullable=False, server_default="erasure"),
    Column("actor", Text, nullable=False),
    timestamp("begun_at"),
    # from when on loads and seals may go on
    Column("removed_at", Timestamp),
    Column("finished_at", Timestamp),
    Column("certificate", JSONB),
    one_of("subject_kind", "user", "account"),
    CheckConstraint("finished_at IS NULL OR (subject IS NULL AND person IS NULL)", name="finished_at"),
)
