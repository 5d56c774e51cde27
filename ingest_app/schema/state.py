"""The state tables: one row per thing that is, changed in place. A trigger keeps `xid` (migration 0001)."""

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    func,
    text,
)

from ingest_app.schema.base import Timestamp, metadata, one_of, timestamp, xid_column
from ingest_app.schema.control import admin_settings
from ingest_app.schema.rewards import user_credits, user_points

INTAKE_COUNTS = (
    "accepted_count",
    "stored_count",
    "duplicate_count",
    "rejected_count",
    "dropped_count",
    "erased_count",
    "human_count",
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Uuid(), primary_key=True, server_default=func.gen_random_uuid()),
    Column("username", Text),
    Column("display_name", Text),
    Column("role", Text),
    Column("org_id", Uuid()),
    timestamp("created_at"),
    timestamp("updated_at"),
    xid_column(),
    Index("accounts_org_id_idx", "org_id"),
    Index("accounts_xid_idx", "xid"),
)

organizations = Table(
    "organizations",
    metadata,
    Column("id", Uuid(), primary_key=True, server_default=func.gen_random_uuid()),
    Column("name", Text, nullable=False),
    Column("slug", Text),
    timestamp("created_at"),
    timestamp("updated_at"),
    xid_column(),
    Index("organizations_xid_idx", "xid"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    Column("id", Uuid(), primary_key=True, server_default=func.gen_random_uuid()),
    Column("org_id", Uuid()),
    Column("plan", Text),
    Column("duration", Text),
    Column("status", Text, nullable=False),
    timestamp("started_at"),
    # required: the seed's rules compare it with now(), so a row without it would be in no status at all
    Column("ends_at", timestamp("ends_at").type, nullable=False),
    timestamp("updated_at"),
    xid_column(),
    one_of("status", "active", "expired", "cancelled"),
    Index("subscriptions_org_id_idx", "org_id"),
    Index("subscriptions_status_ends_at_idx", "status", "ends_at"),
    Index("subscriptions_xid_idx", "xid"),
)

users = Table(
    "users",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("name", String(150)),
    Column("email", String(150)),
    Column("user_type", Text, nullable=False),
    Column("country_code", CHAR(2)),
    # the account of the first seed that is the same person, where the app knows
    Column("account_id", Uuid()),
    xid_column(),
    one_of("user_type", "student", "teacher", "admin"),
    Index("users_xid_idx", "xid"),
)

visitor_sessions = Table(
    "visitor_sessions",
    metadata,
    Column("id", Uuid(), primary_key=True, server_default=func.gen_random_uuid()),
    Column("session_id", Text, nullable=False, unique=True),
    Column("ip_hash", Text),
    Column("ua_hash", Text),
    timestamp("first_seen_at"),
    timestamp("last_seen_at"),
    xid_column(),
    Index("visitor_sessions_last_seen_at_idx", "last_seen_at"),
    Index("visitor_sessions_last_seen_date_idx", text("((last_seen_at AT TIME ZONE 'UTC')::date)")),
    Index("visitor_sessions_xid_idx", "xid"),
)

# how many visitors had sessions that housekeeping deleted: with it every day keeps its number of visitors, and nothing
# is left that tells who they were. Times are cut to the quarter hour, which lies in one day of any time zone in use
forgotten_visitors = Table(
    "forgotten_visitors",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("first_seen_at", Timestamp, nullable=False),
    Column("last_seen_at", Timestamp, nullable=False),
    Column("visitor_count", BigInteger, nullable=False),
    xid_column(),
    UniqueConstraint("first_seen_at", "last_seen_at"),
    CheckConstraint("visitor_count > 0", name="visitor_count"),
    Index("forgotten_visitors_xid_idx", "xid"),
)

# what became of the records of event tables, by the hour (UTC) of their receipt: moved in the transaction that writes
# the rows, so that each snapshot shows rows and counts that belong together
intake_counts = Table(
    "intake_counts",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("received_hour", Timestamp, nullable=False),
    Column("table_name", String(50), nullable=False),
    Column("node_name", Text, nullable=False),
    *(Column(name, BigInteger, nullable=False, server_default="0") for name in INTAKE_COUNTS),
    # people's newest event of the hour; bots and the canary are no sign of life
    Column("last_human_at", Timestamp),
    timestamp("updated_at"),
    xid_column(),
    UniqueConstraint("received_hour", "table_name", "node_name"),
    Index("intake_counts_xid_idx", "xid"),
)

user_heartbeats = Table(
    "user_heartbeats",
    metadata,
    Column("user_id", Uuid(), ForeignKey(accounts.c.id, ondelete="CASCADE"), primary_key=True),
    timestamp("last_seen_at"),
    xid_column(),
    Index("user_heartbeats_last_seen_at_idx", "last_seen_at"),
    Index("user_heartbeats_xid_idx", "xid"),
)

tracking_live_sessions = Table(
    "tracking_live_sessions",
    metadata,
    Column("session_id", String(100), primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("user_type", Text, nullable=False),
    Column("app_name", String(50), nullable=False),
    Column("country_code", CHAR(2)),
    timestamp("last_heartbeat"),
    timestamp("created_at"),
    xid_column(),
    one_of("user_type", "student", "teacher"),
    Index("tracking_live_sessions_idx_app", "app_name"),
    Index("tracking_live_sessions_idx_country", "country_code"),
    Index("tracking_live_sessions_idx_heartbeat", "last_heartbeat"),
    Index("tracking_live_sessions_xid_idx", "xid"),
)

STATE_TABLES = (
    accounts,
    admin_settings,
    forgotten_visitors,
    intake_counts,
    organizations,
    subscriptions,
    tracking_live_sessions,
    user_credits,
    user_heartbeats,
    user_points,
    users,
    visitor_sessions,
)
