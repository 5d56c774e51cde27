"""The write side over HTTP: who may send what, and the answer. Records are `kinds.py`, rows are `store.py`.

Where a record goes is decided in one place, `_keep`: into Postgres, in one transaction a request.
"""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import get_type_hints
from uuid import UUID

import msgspec
from flask import Flask, Response, current_app, request
from sqlalchemy import Connection, Engine, Table, select

from ingest_app import answers, store
from ingest_app.database import SERVING, make_engine
from ingest_app.decode import decode_body
from ingest_app.errors import InvalidRecord, NotAllowed, NotAuthenticated, NotFound
from ingest_app.keys import Key, find_key
from ingest_app.kinds import KINDS, Kind, Receipt, event_id_of
from ingest_app.privacy import NOBODY, Sender, identify
from ingest_app.records import Record
from ingest_app.schema import accounts, admin_settings, organizations, subscriptions, users
from ingest_app.settings import IngestSettings

MAX_BODY_BYTES = 1024 * 1024
DEFAULT_ARCHIVE_DAYS = 90
TRACKED = ("track-visit", "heartbeat", "activity", "events", "documents", "sessions/heartbeat")
DELETABLE_TABLES = {table.name: table for table in (accounts, organizations, subscriptions, users)}


def create_app(settings: IngestSettings | None = None) -> Flask:
    """Make the WSGI app. Without settings they are read from the environment; missing ones are named."""
    app = Flask(__name__, static_folder=None)
    settings = settings or IngestSettings()
    app.extensions["footfall"] = (settings, make_engine(settings.database_url, options=SERVING))
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    answers.register_error_handlers(app)
    for name in TRACKED:
        _route(app, "POST", f"/api/{name}", KINDS[name], scopes=("write", "server"))
    for name, table in DELETABLE_TABLES.items():
        _route(app, "PUT", f"/api/{name}", KINDS[name], scopes=("server",))
        _delete_route(app, f"/api/{name}/<key>", table)
    app.add_url_rule("/healthz", "healthz", lambda: answers.answer({"status": "ok"}, 200))
    return app


def _route(app: Flask, method: str, path: str, kind: Kind, scopes: tuple[str, ...]) -> None:
    app.add_url_rule(path, kind.name, lambda: _receive(kind, scopes), methods=[method])


def _delete_route(app: Flask, path: str, table: Table) -> None:
    app.add_url_rule(path, f"delete {table.name}", lambda key: _delete(table, key), methods=["DELETE"])


def _receive(kind: Kind, scopes: tuple[str, ...]) -> Response:
    settings, engine = _parts()
    # before a connection is taken: a slow sender holds up nobody but himself
    body, received_at = request.get_data(cache=False), datetime.now(UTC)
    with engine.begin() as connection:
        key = _require_key(connection, scopes)
        decoded = decode_body(body, kind.record)
        if not decoded.records:
            return answers.all_refused(decoded.errors)
        sender, oldest = _sender(settings, key), _oldest(connection, key, received_at)
        if kind.name == "track-visit" and sender.device.is_bot:
            return answers.dropped(len(decoded.records) + len(decoded.errors), "bot")
        event_ids = _keep(connection, kind, decoded.records, Receipt(received_at, sender, oldest))
    return answers.accepted(event_ids, len(decoded.records), decoded.errors)


def _keep(connection: Connection, kind: Kind, records: Sequence[Record], receipt: Receipt) -> list[UUID]:
    """Keep records for good and return their event ids: when this returns and commits, they are on disk."""
    rows = [kind.to_row(record, receipt) for record in records]
    kind.write(connection, rows)
    ids = (event_id_of(record, row) for record, row in zip(records, rows, strict=True))
    return [event_id for event_id in ids if event_id is not None]


def _delete(table: Table, key: str) -> Response:
    _, engine = _parts()
    with engine.begin() as connection:
        _require_key(connection, ("server",))
        if not store.delete_from(connection, table, _typed(table, key)):
            raise NotFound(f"{table.name} has no id {key}")
    return Response(status=204)


def _typed(table: Table, key: str) -> object:
    """Read the id of an address as the field of the record that made it."""
    kind = get_type_hints(KINDS[table.name].record, include_extras=True)["id"]
    try:
        found: object = msgspec.convert(key, kind, strict=False)
    except msgspec.ValidationError:
        found = None
    # only as it is written, for a number also reads 1e3
    if str(found) != key.lower():
        raise InvalidRecord(f"{key} is not an id of {table.name}", "id")
    return found


def _require_key(connection: Connection, scopes: tuple[str, ...]) -> Key:
    shown = request.authorization.token if request.authorization else request.args.get("key")
    key = find_key(connection, shown) if shown else None
    if key is None:
        raise NotAuthenticated("send a key that is not revoked: `Authorization: Bearer KEY` or `?key=KEY`")
    if key.scope not in scopes:
        raise NotAllowed(f"this needs a key of scope {' or '.join(scopes)}, this one has {key.scope}")
    return key


def _sender(settings: IngestSettings, key: Key) -> Sender:
    """Who sent the records; an app's own server speaks for others, so its address and agent mean nothing."""
    if key.scope == "server":
        return NOBODY
    return identify(settings.footfall_secret, request.remote_addr, request.headers.get("User-Agent"))


def _oldest(connection: Connection, key: Key, now: datetime) -> datetime | None:
    """Return the archive horizon, before which only a server may place an event (DESIGN section 4)."""
    if key.scope == "server":
        return None
    setting = select(admin_settings.c.setting_value).where(admin_settings.c.setting_key == "archive_after_days")
    stated = connection.execute(setting).scalar() or ""
    # a value that somebody wrote past the checks must not refuse every event
    days = int(stated) if re.fullmatch("[0-9]{1,5}", stated) else DEFAULT_ARCHIVE_DAYS
    return now - timedelta(days=days)


def _parts() -> tuple[IngestSettings, Engine]:
    parts: tuple[IngestSettings, Engine] = current_app.extensions["footfall"]
    return parts
