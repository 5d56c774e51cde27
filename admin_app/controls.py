"""What an admin sees and changes over HTTP: settings, keys, rejected records, retention, the audit log.

What is done to Postgres stands in `control_state.py` and in the write side's modules; the page in `control_pages.py`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from flask import Blueprint, Response, g, request, url_for
from msgspec import Meta, Struct
from sqlalchemy import Row

from admin_app import control_state
from admin_app.access import actor
from admin_app.answers import answer, iso
from admin_app.control_state import Change, Retention, Setting
from admin_app.errors import KeyInUse, NoSuchKey, ParametersRefused, RequestRefused
from admin_app.parameters import read_number
from admin_app.sources import sources
from ingest_app.errors import OriginMalformed
from ingest_app.keys import DEFAULT_REQUESTS_PER_SECOND, ListedKey, create_key, list_keys, revoke_key

blueprint = Blueprint("controls", __name__, url_prefix="/api")

DEFAULT_LIMIT = 100
MOST_ROWS = 1_000
MOST_RATE = 1_000_000
MOST_ID = 2**63 - 1
PRINTABLE = "^[^\\x00-\\x1f]+$"

Json = dict[str, object]
Asked = TypeVar("Asked")


class KeyWanted(Struct, forbid_unknown_fields=True):
    """A key to make: without origins a write key works on every page, one of another scope on none."""

    scope: Literal["write", "server", "admin"]
    app_name: Annotated[str, Meta(max_length=50, pattern=PRINTABLE)] | None = None
    allowed_origins: Annotated[list[str], Meta(max_length=100)] = []
    requests_per_second: Annotated[int, Meta(ge=1, le=MOST_RATE)] = DEFAULT_REQUESTS_PER_SECOND


class RetryWanted(Struct, forbid_unknown_fields=True):
    """Which rejected records to try again."""

    ids: Annotated[list[Annotated[int, Meta(ge=1, le=MOST_ID)]], Meta(min_length=1, max_length=MOST_ROWS)]


@blueprint.get("/settings")
def get_settings() -> Response:
    """Answer every setting with its rule, and who changed it last."""
    return answer({"settings": _settings()})


@blueprint.put("/settings")
def put_settings() -> Response:
    """Set all settings of the body, or none."""
    wanted = _read_body(dict[str, str | int])
    texts = {key: str(value) for key, value in wanted.items()}
    with sources().engine.begin() as connection:
        changes = control_state.change_settings(connection, texts, actor())
    return answer({"changed": [_change(change) for change in changes], "settings": _settings()})


@blueprint.get("/keys")
def get_keys() -> Response:
    """Answer every key ever made, but not the keys themselves."""
    with sources().engine.connect() as connection:
        return answer({"keys": [_key(key) for key in list_keys(connection)]})


@blueprint.post("/keys")
def post_key() -> Response:
    """Make a key; this answer alone has it."""
    return answer({"key": make_key(_read_body(KeyWanted))}, 201)


@blueprint.delete("/keys/<int:key_id>")
def delete_key(key_id: int) -> Response:
    """Make a key worthless, but not the one that asks."""
    end_key(key_id)
    return Response(status=204)


@blueprint.get("/rejected")
def get_rejected() -> Response:
    """Answer rejected records, the newest first."""
    limit, before = _page()
    with sources().engine.connect() as connection:
        rows = control_state.list_rejected(connection, limit, before)
        count = control_state.count_rejected(connection)
    return answer({"records": [_rejected(row) for row in rows], "total_row_count": count, "next": _next(rows, limit)})


@blueprint.post("/rejected/retry")
def post_retry() -> Response:
    """Try rejected records again."""
    with sources().engine.begin() as connection:
        kept, stayed = control_state.retry(connection, _read_body(RetryWanted).ids, actor())
    return answer({"kept": kept, "stayed": stayed})


@blueprint.get("/audit")
def get_audit() -> Response:
    """Answer the audit log, the newest entries first."""
    limit, before = _page()
    with sources().engine.connect() as connection:
        rows = control_state.list_audit(connection, limit, before)
    return answer({"entries": [_entry(row) for row in rows], "next": _next(rows, limit)})


@blueprint.get("/retention")
def get_retention() -> Response:
    """Answer what leaves by itself, and how far it came."""
    with sources().engine.connect() as connection:
        return answer(_retention(control_state.read_retention(connection)))


def make_key(wanted: KeyWanted) -> str:
    """Make a key and return it, the only time. Raises RequestRefused for an origin that is none."""
    try:
        with sources().engine.begin() as connection:
            return create_key(
                connection,
                wanted.scope,
                wanted.app_name,
                wanted.allowed_origins,
                wanted.requests_per_second,
                actor(),
            )
    except OriginMalformed as error:
        raise RequestRefused(str(error), "allowed_origins") from error


def end_key(key_id: int) -> None:
    """Make a key worthless from now on. Raises KeyInUse for the key that asks, NoSuchKey."""
    if key_id == g.key.id:
        raise KeyInUse(key_id)
    with sources().engine.begin() as connection:
        # Postgres would take no greater one for an id at all
        if key_id > MOST_ID or not revoke_key(connection, key_id, actor()):
            raise NoSuchKey(key_id)


def _settings() -> list[Json]:
    with sources().engine.connect() as connection:
        return [_setting(setting) for setting in control_state.list_settings(connection)]


def _read_body(kind: type[Asked]) -> Asked:
    """Decode the JSON of the request. Raises RequestRefused, which names the field."""
    try:
        return msgspec.json.decode(request.get_data(), type=kind)
    except msgspec.DecodeError as error:
        reason, _, place = str(error).partition(" - at `$")
        # of any key it says no more than [...]
        field = place.strip("`.").replace("[...]", "") or None
        raise RequestRefused(f"the body is not what it should be: {reason}", field) from error


def _page() -> tuple[int, int | None]:
    """Read `limit` and `before`. Raises ParametersRefused, of all at once."""
    faults = {name: "there is no such parameter" for name in request.args if name not in {"limit", "before"}}
    limit = _number("limit", 1, MOST_ROWS, faults)
    before = _number("before", 1, MOST_ID, faults)
    if faults:
        raise ParametersRefused(faults)
    return DEFAULT_LIMIT if limit is None else limit, before


def _number(name: str, least: int, most: int, faults: dict[str, str]) -> int | None:
    values = request.args.getlist(name)
    if not values:
        return None
    number = read_number(values[0], least, most) if len(values) == 1 else None
    if number is None:
        faults[name] = f"a whole number from {least} to {most}, once"
    return number


def _next(rows: Sequence[Row[Any]], limit: int) -> str | None:
    """Return the address of the next page, None after the last."""
    if len(rows) < limit:
        return None
    return url_for(request.endpoint or "", limit=limit, before=rows[-1].id)


def _setting(setting: Setting) -> Json:
    return asdict(setting) | {"changed_at": iso(setting.changed_at)}


def _change(change: Change) -> Json:
    return {"key": change.key, "from": change.old, "to": change.new}


def _key(key: ListedKey) -> Json:
    times: Mapping[str, object] = {
        name: iso(getattr(key, name)) for name in ("created_at", "revoked_at", "last_used_at")
    }
    return {**asdict(key), **times}


def _rejected(row: Row[Any]) -> Json:
    return {**row._asdict(), "rejected_at": iso(row.rejected_at), "event_id": row.event_id and str(row.event_id)}


def _entry(row: Row[Any]) -> Json:
    return {**row._asdict(), "created_at": iso(row.created_at)}


def _retention(found: Retention) -> Json:
    return {
        **asdict(found),
        "hot_days": [{**asdict(table), "oldest_date": table.oldest_date.isoformat()} for table in found.hot_days],
        "overdue_day_count": found.overdue_day_count,
        "visitor_seen_at": iso(found.visitor_seen_at),
    }
