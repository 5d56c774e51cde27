"""The rewards ledger: balances (state), their append-only logs, earning rules, keys of moves made. No SQL."""

from sqlalchemy import (
    CHAR,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
    true,
)

from ingest_app.schema.base import metadata, one_of, timestamp, xid_column


def _once(table: str, column: str) -> Index:
    """Let a value stand once at most in a column that most rows leave empty."""
    return Index(f"{table}_{column}_idx", column, unique=True, postgresql_where=text(f"{column} IS NOT NULL"))


user_points = Table(
    "user_points",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("points", Integer, nullable=False, server_default="0"),
    timestamp("updated_at"),
    xid_column(),
    CheckConstraint("points >= 0", name="points"),
    Index("user_points_xid_idx", "xid"),
)

user_point_logs = Table(
    "user_point_logs",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("action", Text, nullable=False),
    Column("points", Integer, nullable=False),
    Column("related_event", String(100)),
    timestamp("created_at"),
    xid_column(),
    # of a reversal: the row that it undoes, and why
    Column("reverses_id", BigInteger),
    Column("reason", String(200)),
    # of what a rule earned: the tracking event, and the rule
    Column("event_id", Uuid()),
    Column("rule_id", BigInteger),
    one_of("action", "earn", "redeem"),
    Index("user_point_logs_idx_user", "user_id"),
    Index("user_point_logs_idx_action", "action"),
    Index("user_point_logs_xid_idx", "xid"),
    # nothing is undone twice, no event rewarded twice
    _once("user_point_logs", "reverses_id"),
    _once("user_point_logs", "event_id"),
    # what a user earned today by a rule
    Index(
        "user_point_logs_rule_id_idx",
        "user_id",
        "rule_id",
        "created_at",
        postgresql_where=text("rule_id IS NOT NULL"),
    ),
)

user_credits = Table(
    "user_credits",
    metadata,
    Column("user_id", BigInteger, primary_key=True, autoincrement=False),
    Column("credits", Integer, nullable=False, server_default="0"),
    timestamp("updated_at"),
    xid_column(),
    CheckConstraint("credits >= 0", name="credits"),
    Index("user_credits_xid_idx", "xid"),
)

user_credit_logs = Table(
    "user_credit_logs",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("user_id", BigInteger, nullable=False),
    Column("credits_added", Integer, nullable=False),
    Column("points_consumed", Integer, nullable=False),
    timestamp("created_at"),
    xid_column(),
    # the row of `user_point_logs` that consumed the points, or gave them back; none where credits were spent
    Column("point_log_id", BigInteger),
    Index("user_credit_logs_idx_user", "user_id"),
    Index("user_credit_logs_xid_idx", "xid"),
    _once("user_credit_logs", "point_log_id"),
)

# which tracking events earn points when they are drained; not loaded, for the log says what was earned
point_rules = Table(
    "point_rules",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("event_type", Text, nullable=False),
    Column("event_name", String(100), nullable=False),
    Column("points", Integer, nullable=False),
    Column("daily_cap", Integer),
    Column("active", Boolean, nullable=False, server_default=true()),
    timestamp("created_at"),
    timestamp("updated_at"),
    UniqueConstraint("event_type", "event_name"),
    one_of("event_type", "visit", "button", "document", "session"),
    CheckConstraint("points > 0", name="points"),
    CheckConstraint("daily_cap >= points", name="daily_cap"),
)

# what was answered to a move of points or credits, for a caller that asks again; by app, for each makes its own keys
idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("app_name", String(50), primary_key=True, server_default=""),
    Column("idempotency_key", String(255), primary_key=True),
    Column("request_hash", CHAR(64), nullable=False),
    Column("status", SmallInteger, nullable=False),
    # text, not jsonb: the very bytes that were answered
    Column("answer", Text, nullable=False),
    timestamp("created_at"),
    Index("idempotency_keys_created_at_idx", "created_at", postgresql_using="brin"),
)
