"""Which tables are loaded, and in which way. Their columns are in `sql/raw.sql`; nothing is loaded here."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["event", "log", "state"]


@dataclass(frozen=True)
class Table:
    """A loaded table of Postgres.

    Events and logs are append-only: a row never changes and is loaded once. State changes in place: the
    newest version of each `key` is kept. `key` is the primary key, but for the events' partition column.
    Tables of one `group` stand side by side and are loaded in one transaction: a row that comes to the first has
    taken the place of rows of the next.
    """

    name: str
    kind: Kind
    key: str
    group: str = ""


TABLES = (
    Table("activity_events", "event", "id"),
    Table("tracking_events", "event", "id"),
    Table("tracking_documents", "event", "id"),
    Table("user_point_logs", "log", "id"),
    Table("user_credit_logs", "log", "id"),
    Table("accounts", "state", "id"),
    Table("admin_settings", "state", "setting_key"),
    Table("intake_counts", "state", "id"),
    Table("organizations", "state", "id"),
    Table("subscriptions", "state", "id"),
    Table("tracking_live_sessions", "state", "session_id"),
    Table("user_credits", "state", "user_id"),
    Table("user_heartbeats", "state", "user_id"),
    Table("user_points", "state", "user_id"),
    Table("users", "state", "id"),
    Table("forgotten_visitors", "state", "id", group="visitors"),
    Table("visitor_sessions", "state", "id", group="visitors"),
)
EVENT_TABLES = [table.name for table in TABLES if table.kind == "event"]
