"""The rewards ledger: balances (state) and their append-only logs. The rules that move them are not here."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Identity,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from ingest_app.schema.base import metadata, one_of, timestamp, xid_column

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
    one_of("action", "earn", "redeem"),
    Index("user_point_logs_idx_user", "user_id"),
    Index("user_point_logs_idx_action", "action"),
    Index("user_point_logs_xid_idx", "xid"),
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
    Index("user_credit_logs_idx_user", "user_id"),
    Index("user_credit_logs_xid_idx", "xid"),
)
