"""The records that apps send, one type a kind: the seeds' fields, their lengths and their values.

A record type says what is valid and how it becomes a row; where rows go is `kinds.py`, how, `store.py`.
"""

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, inspect

# a NUL character fits in JSON but not in a Postgres text
Text = Annotated[str, Meta(min_length=1, max_length=500, pattern="^[^\x00]*$")]
Text50 = Annotated[str, Meta(min_length=1, max_length=50, pattern="^[^\x00]*$")]
Text100 = Annotated[str, Meta(min_length=1, max_length=100, pattern="^[^\x00]*$")]
Text128 = Annotated[str, Meta(min_length=1, max_length=128, pattern="^[^\x00]*$")]
Text150 = Annotated[str, Meta(min_length=1, max_length=150, pattern="^[^\x00]*$")]
Text200 = Annotated[str, Meta(min_length=1, max_length=200, pattern="^[^\x00]*$")]
# max_length too, for `$` lets a line feed pass
CountryCode = Annotated[str, Meta(max_length=2, pattern="^[A-Z]{2}$")]
UserId = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Time = Annotated[datetime, Meta(tz=True)]
# before it is a mistake, and a year 1 in another time zone is no time at all in UTC
OLDEST_TIME = datetime(1900, 1, 1, tzinfo=UTC)

AudienceType = Literal["student", "teacher", "guest"]


class Record(Struct, frozen=True, kw_only=True):
    """What every record is checked for beyond the types of its fields."""

    def __post_init__(self) -> None:
        """Raise ValueError, which names the field, where a time is too old or `meta` holds a NUL."""
        for field in _checked_fields(type(self)):
            value = getattr(self, field)
            if isinstance(value, datetime) and value.replace(tzinfo=UTC) < OLDEST_TIME:
                raise ValueError(f"Expected a time after 1900 - at `$.{field}`")
            if isinstance(value, dict) and _holds_nul(value):
                raise ValueError(f"Expected no NUL character - at `$.{field}`")


class EventRecord(Record, frozen=True, kw_only=True):
    """What happened once: `event_id` makes a retry count once, `sent_at` corrects a wrong clock."""

    event_id: UUID | None = None
    created_at: Time | None = None
    sent_at: Time | None = None


class Visit(Record, frozen=True, kw_only=True):
    """A browser session was seen."""

    session_id: Text200
    event_id: UUID | None = None


class Heartbeat(Record, frozen=True, kw_only=True):
    """An account is active now."""

    user_id: UUID


class SessionHeartbeat(Record, frozen=True, kw_only=True):
    """A student or teacher is live in an app now."""

    session_id: Text100
    user_id: UserId
    user_type: Literal["student", "teacher"]
    app_name: Text50
    country_code: CountryCode | None = None


class Activity(EventRecord, frozen=True, kw_only=True):
    """An account logged in, signed up, opened the app or did something that has a name."""

    event_type: Literal["login", "signup", "app_open", "action"]
    user_id: UUID | None = None
    action_name: Text128 | None = None


class Event(EventRecord, frozen=True, kw_only=True):
    """A visit, a press of a button, a document or a session, in an app."""

    user_type: AudienceType
    app_name: Text50
    event_type: Literal["visit", "button", "document", "session"]
    event_name: Text100
    user_id: UserId | None = None
    session_id: Text100 | None = None
    country_code: CountryCode | None = None
    os: Text50 | None = None
    device_type: Literal["desktop", "mobile", "tablet"] | None = None
    meta: dict[str, Any] | None = None


class Document(EventRecord, frozen=True, kw_only=True):
    """A document of a chapter of a level was opened."""

    user_type: AudienceType
    level_name: Text100
    chapter_name: Text150
    document_name: Text200
    user_id: UserId | None = None
    app_name: Text50 = "DViz"
    country_code: CountryCode | None = None


class Account(Record, frozen=True, kw_only=True):
    """A person of the admin dashboard. What a record leaves out keeps its value, or is empty if new."""

    id: UUID
    username: Text | UnsetType | None = UNSET
    display_name: Text | UnsetType | None = UNSET
    role: Text | UnsetType | None = UNSET
    org_id: UUID | UnsetType | None = UNSET
    created_at: Time | UnsetType = UNSET
    updated_at: Time | UnsetType = UNSET


class Organization(Record, frozen=True, kw_only=True):
    """A customer."""

    id: UUID
    name: Text
    slug: Text | UnsetType | None = UNSET
    created_at: Time | UnsetType = UNSET
    updated_at: Time | UnsetType = UNSET


class Subscription(Record, frozen=True, kw_only=True):
    """What an organization pays for, from when to when."""

    id: UUID
    status: Literal["active", "expired", "cancelled"]
    ends_at: Time
    org_id: UUID | UnsetType | None = UNSET
    plan: Text | UnsetType | None = UNSET
    duration: Text | UnsetType | None = UNSET
    started_at: Time | UnsetType = UNSET
    updated_at: Time | UnsetType = UNSET


class User(Record, frozen=True, kw_only=True):
    """A person of the tracked apps."""

    id: UserId
    user_type: Literal["student", "teacher", "admin"]
    name: Text150 | UnsetType | None = UNSET
    email: Text150 | UnsetType | None = UNSET
    country_code: CountryCode | UnsetType | None = UNSET
    account_id: UUID | UnsetType | None = UNSET


@cache
def _checked_fields(record: type[Record]) -> tuple[str, ...]:
    """Name the fields that may hold a time or an object: the check costs each record of every request."""
    fields = getattr(inspect.type_info(record), "fields", ())
    return tuple(field.name for field in fields if _may_hold(field.type, inspect.DateTimeType, inspect.DictType))


def _may_hold(found: inspect.Type, *types: type[inspect.Type]) -> bool:
    return isinstance(found, types) or any(isinstance(one, types) for one in getattr(found, "types", ()))


def _holds_nul(value: object) -> bool:
    """Search any depth: jsonb refuses a NUL in keys and values alike."""
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(inner) for key, inner in value.items())
    return isinstance(value, list) and any(_holds_nul(inner) for inner in value)
