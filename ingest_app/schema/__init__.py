"""Every table of Postgres, as SQLAlchemy Core. What the database *is* stands here; how it came to be, in `migrations/`.

Names, columns, types and indexes are those of the two seeds; MySQL's index names repeat from table to
table, Postgres wants them unique in a schema, so each carries its table: `idx_date` of `tracking_events`
is `tracking_events_idx_date`. No queries here.
"""

from ingest_app.schema.base import metadata
from ingest_app.schema.control import (
    admin_audit_log,
    admin_settings,
    api_keys,
    erasures,
    event_ids,
    rejected_records,
    spool_cursors,
)
from ingest_app.schema.events import (
    EVENT_TABLES,
    activity_events,
    tracking_documents,
    tracking_events,
)
from ingest_app.schema.rewards import (
    idempotency_keys,
    point_rules,
    user_credit_logs,
    user_credits,
    user_point_logs,
    user_points,
)
from ingest_app.schema.state import (
    STATE_TABLES,
    accounts,
    forgotten_visitors,
    intake_counts,
    organizations,
    subscriptions,
    tracking_live_sessions,
    user_heartbeats,
    users,
    visitor_sessions,
)

__all__ = [
    "EVENT_TABLES",
    "STATE_TABLES",
    "accounts",
    "activity_events",
    "admin_audit_log",
    "admin_settings",
    "api_keys",
    "erasures",
    "event_ids",
    "forgotten_visitors",
    "idempotency_keys",
    "intake_counts",
    "metadata",
    "organizations",
    "point_rules",
    "rejected_records",
    "spool_cursors",
    "subscriptions",
    "tracking_documents",
    "tracking_events",
    "tracking_live_sessions",
    "user_credit_logs",
    "user_credits",
    "user_heartbeats",
    "user_point_logs",
    "user_points",
    "users",
    "visitor_sessions",
]
