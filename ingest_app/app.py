"""The write side over HTTP: the routes, and for each the few steps from a request to its answer.

A posted record goes to the worker's spool and from there, by the drainer, to Postgres. What a server states with PUT
and DELETE goes straight to Postgres, for its order matters and its sender must know.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec
from flask import Flask, Request, Response, request
from sqlalchemy import Engine, Table
from werkzeug.middleware.proxy_fix import ProxyFix

from ingest_app import answers, cors, health, openapi, store
from ingest_app.access import require_key
from ingest_app.body import MAX_BODY_BYTES, read_body
from ingest_app.control import ControlWatch
from ingest_app.database import SERVING, WATCHING, make_engine
from ingest_app.decode import Decoded, decode_body
from ingest_app.errors import InvalidRecord, NotFound
from ingest_app.keys import Key
from ingest_app.kinds import KINDS, Kind, Receipt, event_ids_of
from ingest_app.metrics import NodeCollector, RequestMetrics, watch_requests
from ingest_app.privacy import NOBODY, CountryTable, Privacy, Sender, read_user_agent
from ingest_app.rewards import described
from ingest_app.rewards import routes as rewards
from ingest_app.rewards.statements import Statements
from ingest_app.schema import accounts, organizations, subscriptions, users
from ingest_app.settings import IngestSettings
from ingest_app.spool import Spool
from ingest_app.spool.files import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.routing import MapAdapter

TRACKED = ("track-visit", "heartbeat", "activity", "events", "documents", "sessions/heartbeat")
TRACKER = Path(__file__).with_name("tracker.js")
TRACKER_AGE_SECONDS = 3600
STATED = {table.name: table for table in (accounts, organizations, subscriptions, users)}


@dataclass(frozen=True, slots=True)
class Ingest:
    """The parts of one worker."""

    settings: IngestSettings
    engine: Engine
    ledger: Statements
    control: ControlWatch
    spool: Spool
    privacy: Privacy
    metrics: RequestMetrics

    def close(self) -> None:
        """Let go of files and connections. A worker that ends without it loses nothing but its last counts."""
        self.control.close()
        self.metrics.publish()
        self.spool.close()
        self.engine.dispose()
        self.ledger.close()


class _App(Flask):
    """Flask without what no route here has and each request would pay a fifth of its time for: hosts and coroutines."""

    def create_url_adapter(self, request: Request | None) -> "MapAdapter | None":
        """Match a request by its path and method alone."""
        if request is None:
            return None
        # PEP 3333: bytes, each as a character
        path = request.environ.get("PATH_INFO", "").encode("latin-1").decode(errors="replace")
        return self.url_map.bind("", path_info=path, default_method=request.method)

    def ensure_sync(self, func: "Callable[..., Any]") -> "Callable[..., Any]":
        """Take every function as it is."""
        return func


def create_app(settings: IngestSettings | None = None) -> Flask:
    """Make the WSGI app. Without settings they are read from the environment; missing ones are named."""
    app = _App(__name__, static_folder=None)
    app.extensions["footfall"] = ingest = _make_parts(settings or IngestSettings())
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    # an address with a slash too many is unknown, and not sent elsewhere by a page of HTML
    app.url_map.merge_slashes = False
    answers.register_error_handlers(app)
    for name in TRACKED:
        app.add_url_rule(f"/api/{name}", name, partial(_track, ingest, KINDS[name]), methods=["POST"])
    for name, table in STATED.items():
        app.add_url_rule(f"/api/{name}", name, partial(_state, ingest, KINDS[name]), methods=["PUT"])
        delete = partial(_delete, ingest, table)
        app.add_url_rule(f"/api/{name}/<key>", f"delete {name}", delete, methods=["DELETE"])
    rewards.add_routes(app, ingest.ledger, ingest.control)
    openapi.add_route(app, TRACKED, STATED, described.describe())
    app.add_url_rule("/tracker.js", "tracker.js", partial(_tracker, TRACKER.read_bytes()))
    health.add_routes(app, ingest.spool, ingest.control)
    watch_requests(app, ingest.metrics, NodeCollector(ingest.settings.spool_folder, ingest.control))
    cors.register_cors(app, ingest.control)
    if proxies := ingest.settings.footfall_trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=0, x_host=0)  # type: ignore[method-assign]
    return app


def _make_parts(settings: IngestSettings) -> Ingest:
    settings.spool_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    engine = make_engine(settings.database_url, options=SERVING)
    watching = make_engine(settings.database_url, pool_size=1, options=WATCHING)
    spool = Spool(settings.spool_folder, settings.footfall_spool_reserve_mb * 2**20)
    metrics = RequestMetrics(settings.prometheus_multiproc_dir)

    def now_and_then() -> None:
        spool.retire_old_file()
        metrics.publish()

    control = ControlWatch(watching, settings.spool_folder / "control.json", each_time=now_and_then)
    table = settings.footfall_country_table
    # now, not while the first visitors wait: the rules take half a second to read
    read_user_agent("warm")
    privacy = Privacy(settings.footfall_secret, CountryTable.read(table) if table else None)
    ledger = Statements(settings.database_url)
    return Ingest(settings, engine, ledger, control, spool, privacy, metrics)


def _track(ingest: Ingest, kind: Kind) -> Response:
    """Accept what happened: on this machine's disk when it is answered."""
    key = require_key(ingest.control, ("write", "server"))
    body, received_at = read_body(), datetime.now(UTC)
    decoded = decode_body(body, kind.record)
    if not decoded.records:
        return answers.all_refused(decoded.errors)
    if not ingest.control.current.is_tracking_enabled:
        if kind.event_table:
            ingest.control.note_dropped(kind.event_table, len(decoded.records))
        return answers.dropped(_count(decoded), "tracking_disabled", decoded.errors)
    receipt = Receipt(received_at, _sender(ingest, key), _oldest(ingest, key, received_at))
    if kind.name == "track-visit" and receipt.sender.device.is_bot:
        return answers.dropped(_count(decoded), "bot", decoded.errors)
    rows = [kind.to_row(record, receipt) for record in decoded.records]
    ingest.spool.append(Part(kind.name, len(rows), msgspec.json.encode(rows)))
    return answers.accepted(event_ids_of(decoded.records, rows), len(rows), decoded.errors)


def _state(ingest: Ingest, kind: Kind) -> Response:
    """Accept what is: in Postgres when it is answered."""
    require_key(ingest.control, ("server",))
    decoded = decode_body(read_body(), kind.record)
    if not decoded.records:
        return answers.all_refused(decoded.errors)
    rows = [kind.to_row(record, Receipt(datetime.now(UTC))) for record in decoded.records]
    with ingest.engine.begin() as connection:
        kind.write_rows(connection, rows)
    return answers.accepted([], len(rows), decoded.errors)


def _delete(ingest: Ingest, table: Table, key: str) -> Response:
    require_key(ingest.control, ("server",))
    found = _typed(table, key)
    with ingest.engine.begin() as connection:
        if not store.delete_from(connection, table, found):
            raise NotFound(f"{table.name} has no id {key}")
    return Response(status=204)


def _tracker(script: bytes) -> Response:
    response = Response(script, mimetype="text/javascript")
    response.cache_control.public, response.cache_control.max_age = True, TRACKER_AGE_SECONDS
    response.add_etag()
    response.make_conditional(request)
    return response


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


def _count(decoded: Decoded) -> int:
    return len(decoded.records) + len(decoded.errors)


def _sender(ingest: Ingest, key: Key) -> Sender:
    """Who sent the records; an app's own server speaks for others, so its address and agent mean nothing."""
    if key.scope == "server":
        return NOBODY
    environ, header = request.environ, ingest.settings.footfall_country_header
    country = request.headers.get(header) if header else None
    return ingest.privacy.sender(environ.get("REMOTE_ADDR"), environ.get("HTTP_USER_AGENT"), country)


def _oldest(ingest: Ingest, key: Key, now: datetime) -> datetime | None:
    """Return the archive horizon, before which only a server may place an event (DESIGN section 4)."""
    return None if key.scope == "server" else now - timedelta(days=ingest.control.current.archive_after_days)
