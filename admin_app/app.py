"""The read side over HTTP: its parts, and in which order a request meets them. What each shows stands in its module."""

import hashlib
import hmac

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from admin_app import control_pages, controls, openapi, pages, reports, signin, stats, vega
from admin_app.access import public, register_access
from admin_app.answers import add_headers, register_error_handlers
from admin_app.settings import AdminSettings
from admin_app.sources import make_sources

BLUEPRINTS = tuple(part.blueprint for part in (signin, stats, reports, openapi, pages, vega, controls, control_pages))
# no form here is longer
MAX_BODY_BYTES = 256 * 2**10


def create_app(settings: AdminSettings | None = None) -> Flask:
    """Make the WSGI app. Without settings they are read from the environment; missing ones are named."""
    settings = settings or AdminSettings()
    app = Flask(__name__)
    app.extensions["footfall"] = make_sources(settings)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    register_error_handlers(app)
    register_access(app, _session_key(settings.footfall_secret))
    app.after_request(add_headers)
    app.add_url_rule("/healthz", "healthz", healthz)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint)
    if proxies := settings.footfall_trusted_proxies:
        # only the nearest one states the protocol: no proxy adds to what the one before it said
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=1, x_host=0)  # type: ignore[method-assign]
    return app


@public
def healthz() -> dict[str, str]:
    """Answer as long as the worker does."""
    return {"status": "ok"}


def _session_key(secret: str) -> bytes:
    """Derive the key of the sessions, so that nobody who has a hash of an address has a session."""
    return hmac.digest(secret.encode(), b"sessions of the admin page", hashlib.sha256)
