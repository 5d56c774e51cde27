"""The records that apps send, one type a kind: the seeds' fields, their lengths and their values.

A record type says what is valid and how it becomes a row; where rows go is `kinds.py`, how, `store.py`.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, defstruct, inspect, structs
from msgspec.json import Encoder

Text = Annotated[str, Meta(min_length=1, max_length=500)]
Text50 = Annotated[str, Meta(min_length=1, max_length=50)]
Text100 = Annotated[str, Meta(min_length=1, max_length=100)]
Text128 = Annotated[str, Meta(min_length=1, max_length=128)]
Text150 = Annotated[str, Meta(min_length=1, max_length=150)]
Text200 = Annotated[str, Meta(min_length=1, max_length=200)]
# max_length too, for `$` lets a line feed pass
CountryCode = Annotated[str, Meta(max_length=2, pattern="^[A-Z]{2}$")]
UserId = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Time = Annotated[datetime, Meta(tz=True)]
# an earlier one is a mistake, and a year 1 in another time zone is no time at all in UTC
OLDEST_YEAR = 1900
LAST_YEAR = 9999
# RFC 3339 knows zones of a day; the world has them up to 14 hours, and Postgres reads 15
FARTHEST_ZONE = timedelta(hours=15)
# how a NUL character is written in JSON, which has no other way; Postgres has no place for it in a text
NUL = b"\\u0000"

AudienceType = Literal["student", "teacher", "guest"]


class Record(Struct, frozen=True, kw_only=True):
    """What every record is checked for beyond the types of its fields."""

    def __post_init__(self) -> None:
        """Raise ValueError, which names the field, where a time is impossible or a text holds a NUL."""
        self.require_times()
        # one look at all texts, however deep in `meta`; a backslash that only looks like one is told apart below
        if NUL in _encode(self):
            for field, value in structs.asdict(self).items():
                if "\x00" in "".join(_texts_in(value)):
                    raise ValueError(f"Expected no NUL character - at `$.{field}`")

    def require_times(self) -> None:
        """Raise ValueError, which names the field, where a time is before 1900 or after 9999, or its zone is none."""
        for field in _time_fields(type(self)):
            value = getattr(self, field)
            if isinstance(value, datetime) and not (value.tzinfo is UTC and OLDEST_YEAR <= value.year < LAST_YEAR):
                _require_storable(field, value)


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
def without_nul_search(record: type[Record]) -> type[Record]:
    """Make the same type less the search for NULs, for a reader that saw none in the bytes: it takes half the time."""
    namespace = {"__post_init__": record.require_times}
    found: Any = defstruct(record.__name__, (), bases=(record,), namespace=namespace, frozen=True, kw_only=True)
    return found  # type: ignore[no-any-return]


def _require_storable(field: str, value: datetime) -> None:
    if value.year < OLDEST_YEAR:
        raise ValueError(f"Expected a time after 1900 - at `$.{field}`")
    if abs(value.utcoffset() or timedelta()) > FARTHEST_ZONE:
        raise ValueError(f"Expected a zone within 15 hours of UTC - at `$.{field}`")
    try:
        value.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"Expected a time before the year 10000 in UTC - at `$.{field}`") from None


@cache
def _time_fields(record: type[Record]) -> tuple[str, ...]:
    """Name the fields that may hold a time: the check costs each record of every request."""
    fields = getattr(inspect.type_info(record), "fields", ())
    return tuple(field.encode_name for field in fields if _may_be_time(field.type))


def _may_be_time(found: inspect.Type) -> bool:
    return any(isinstance(one, inspect.DateTimeType) for one in getattr(found, "types", (found,)))


def _texts_in(value: object) -> Iterator[str]:
    """Yield texts of any depth, keys too: jsonb refuses a NUL in either."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts_in(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts_in(inner)


_encode = Encoder().encode
