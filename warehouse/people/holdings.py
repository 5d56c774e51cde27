"""What is done with a person's rows, table by table and thing by thing: the one list that all of this room follows.

A contract test holds it to the schema, so that a new table or column cannot be forgotten. No SQL and no rows here.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["delete", "pseudonym", "keep"]
Names = Literal["user", "account", "id text", "link", "session", "json", "record", "words"]
"""What a column can name a person by: the bigint of `users`, the uuid of `accounts`, either as a text (in tables that
are not ours), a uuid of the row's own that links to an account, a session; a JSON text with keys of these names, a
record as an app sent it, or a sentence."""


@dataclass(frozen=True)
class Holding:
    """A table of Postgres: what is done with a person's rows, the columns that find them, and why.

    A row that a session or a JSON text alone names is the person's only where no other id stands in it.
    """

    table: str
    action: Action
    columns: Mapping[str, Names] = field(default_factory=dict)
    why: str = ""


HOLDINGS = (
    Holding("activity_events", "delete", {"user_id": "account"}),
    Holding("tracking_events", "delete", {"user_id": "user", "session_id": "session", "meta": "json"}),
    Holding("tracking_documents", "delete", {"user_id": "user"}),
    Holding("users", "delete", {"id": "user", "account_id": "link"}),
    Holding("user_heartbeats", "delete", {"user_id": "account"}),
    Holding("accounts", "delete", {"id": "account"}),
    Holding("tracking_live_sessions", "delete", {"user_id": "user", "session_id": "session"}),
    Holding("visitor_sessions", "delete", {"session_id": "session"}),
    Holding("user_points", "pseudonym", {"user_id": "user"}, "balances go on being what their logs add up to"),
    Holding("user_credits", "pseudonym", {"user_id": "user"}, "balances go on being what their logs add up to"),
    Holding(
        "user_point_logs",
        "pseudonym",
        {"user_id": "user"},
        "what was given and taken stays in all sums; what an app wrote into `reason`, and without a rule into"
        " `related_event`, goes",
    ),
    Holding("user_credit_logs", "pseudonym", {"user_id": "user"}, "what was bought and spent stays in all sums"),
    Holding("idempotency_keys", "delete", {"answer": "json"}),
    Holding("rejected_records", "delete", {"body": "record"}),
    Holding("admin_audit_log", "pseudonym", {"subject": "words", "detail": "json"}, "who changed what stays known"),
    Holding("event_ids", "keep", why="ids of events, of nobody: they keep a retry, or an import, from coming in again"),
    Holding("erasures", "keep", why="says that an erasure was done and not whose; who it was goes when it is finished"),
    Holding("forgotten_visitors", "keep", why="numbers of visitors by day, nobody's id"),
    Holding("intake_counts", "keep", why="numbers of records by the hour, nobody's id"),
    Holding("organizations", "keep", why="customers, not persons"),
    Holding("subscriptions", "keep", why="of organizations, not of persons"),
    Holding("admin_settings", "keep", why="settings"),
    Holding("point_rules", "keep", why="rules"),
    Holding("api_keys", "keep", why="of apps, not of persons"),
    Holding("spool_cursors", "keep", why="names of files"),
    Holding("alembic_version", "keep", why="the version of the schema"),
)
BY_TABLE = {holding.table: holding for holding in HOLDINGS}

NOT_PEOPLE: Mapping[str, str] = {
    "visitor_sessions.id": "the row's own number",
    "accounts.org_id": "an organization",
    "event_ids.event_id": "an event",
    "activity_events.event_id": "an event, which goes with its row",
    "tracking_events.event_id": "an event, which goes with its row",
    "tracking_documents.event_id": "an event, which goes with its row",
    "user_point_logs.event_id": "an event: emptied with the pseudonym",
    "user_point_logs.rule_id": "a rule",
    "user_point_logs.reverses_id": "a row of the same log",
    "user_credit_logs.point_log_id": "a row of the other log",
    "rejected_records.event_id": "an event, which goes with its row",
    "subscriptions.org_id": "an organization",
    "erasures.subject": "empty once the erasure is finished",
    "erasures.person": "empty once the erasure is finished",
    "erasures.certificate": "says what was done, without an id of the person",
    "rejected_records.kind": "a kind of records",
}
"""Columns that look as if they named a person, and why they do not. A table's plain `id` is its row's number."""

STAYS = (
    (
        "event_ids of the events",
        "they name nobody, and keep what is sent again from coming in again: gone after 8 days, and while records"
        " wait in a spool as much later; those of imports (UUIDs of version 8) stay",
    ),
    ("sums of points and credits", "kept under a pseudonym drawn by chance, so that balances equal their logs"),
    ("rpt_live_users", "numbers of who was live at each refresh, without an id"),
    (
        "a published file that somebody still has open",
        "its readers keep what they opened until they close it",
    ),
    (
        "old bytes in Postgres's data files and write-ahead log",
        "deleted rows are vacuumed; the room is written over, and the log recycled, as the server goes on",
    ),
    ("free room of the disk", "files that were written anew leave their old bytes until the disk takes the room"),
    ("Dagster's log of runs", "a check that failed names some of the rows that it found; forgotten after 14 days"),
    (
        "the log of Postgres's server",
        "errors that it wrote down before, or where DATABASE_URL names no superuser, may show values; where it runs"
        " in the home folder the log is set aside each night, and goes 7 days later",
    ),
    ("backups, exported files, copies of the published file", "footfall does not know where they are: see to them"),
    ("spools of other ingest hosts", "only this host's were searched: run the command there too"),
)
"""What no erasure reaches, or need not, and why: the certificate's last part."""

STAYS_IN_BUCKET = (
    (
        "older versions of archived files, where the bucket keeps versions",
        "footfall removes the newest: a lifecycle rule, NoncurrentVersionExpiration, lets the older ones go",
    ),
)
"""What stays besides where the archive is in a bucket."""
