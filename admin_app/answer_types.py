"""The types of the API's answers, closed, as OpenAPI describes them. What makes an answer stands elsewhere.

Stated here once more, so that an answer that says something else fails a test; those of the stats are `stats.py`'s own.
"""

from datetime import date, datetime
from typing import Any, Literal
from uuid import UUID

from msgspec import UNSET, Struct, UnsetType


class Closed(Struct, forbid_unknown_fields=True):
    """An answer that holds nothing else."""


class Fault(Closed):
    """What went wrong: `field` names the place; `id` finds an unforeseen error in the log.

    `parameters` says of each bad or unknown parameter of the address what is wrong with it.
    """

    code: str
    message: str
    field: str | None
    parameters: dict[str, str] | UnsetType = UNSET
    id: str | UnsetType = UNSET


class Refused(Closed):
    """Nothing was changed."""

    error: Fault


class SettingFound(Closed):
    """A setting with its rule, and who changed it last; `value` is null where its row was deleted."""

    key: str
    value: str | None
    default: str
    meaning: str
    allowed: str
    is_switch: bool
    changed_at: datetime | None
    changed_by: str | None
    changed_from: str | None


class SettingsFound(Closed):
    """Every setting there is, the switches first."""

    settings: list[SettingFound]


class ChangeMade(Closed, rename={"old": "from", "new": "to"}):
    """What a setting was and is."""

    key: str
    old: str | None
    new: str


class SettingsChanged(Closed):
    """What was changed, and every setting as it is now."""

    changed: list[ChangeMade]
    settings: list[SettingFound]


class KeyFound(Closed):
    """A key as it was made; the key itself is not known. `last_used_at` may be some minutes old."""

    id: int
    scope: Literal["write", "server", "admin"]
    app_name: str | None
    allowed_origins: list[str]
    requests_per_second: int
    created_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None


class KeysFound(Closed):
    """Every key ever made."""

    keys: list[KeyFound]


class KeyMade(Closed):
    """The key, which is shown this one time."""

    key: str


class RejectedRecord(Closed):
    """A record that Postgres refused after its 202, as it was sent."""

    id: int
    rejected_at: datetime
    kind: str
    event_id: UUID | None
    reason: str
    body: Any


class RejectedFound(Closed):
    """A page, the newest first; `next` is the address of the next one."""

    records: list[RejectedRecord]
    total_row_count: int
    next: str | None


class Retried(Closed):
    """How many are in Postgres now, and how many it refused again."""

    kept: int
    stayed: int


class AuditEntry(Closed):
    """Who did what to what, when."""

    id: int
    created_at: datetime
    actor: str
    action: str
    subject: str
    detail: Any


class AuditFound(Closed):
    """A page, the newest first; `next` is the address of the next one."""

    entries: list[AuditEntry]
    next: str | None


class HotDaysFound(Closed):
    """The days of an event table that are in Postgres; overdue ones should have left it by now."""

    table_name: str
    day_count: int
    oldest_date: date
    overdue_count: int


class RetentionFound(Closed):
    """What leaves by itself and how far it came."""

    archive_after_days: int
    hot_days: list[HotDaysFound]
    overdue_day_count: int
    forget_visitors_after_days: int
    visitor_seen_at: datetime | None
    ended_session_count: int


class Health(Closed):
    """The worker is alive."""

    status: str
