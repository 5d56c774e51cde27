"""Who asks: the admin key of a request, shown by a script in a header or known by the session of the page.

How one signs in is `signin.py`. A key never stands in a message, a session or an address: a session names its id.
"""

import logging
import time
from collections.abc import Callable
from datetime import timedelta
from math import ceil
from typing import Any, TypeVar

from flask import Flask, current_app, g, request, session
from flask.sessions import SecureCookieSessionInterface
from flask_wtf.csrf import CSRFError, CSRFProtect
from throttled.rate_limiter import GCRARateLimiter, per_min
from throttled.store import MemoryStore

from admin_app.errors import FormExpired, NotSignedIn, TooManyTries, WrongScope
from admin_app.sources import sources
from ingest_app.keys import Key

SCOPE = "admin"
SESSION_LIFETIME = timedelta(hours=12)
TRIES_PER_MINUTE = 10
# beyond so many addresses the one that was silent longest is forgotten
MAX_ADDRESSES = 10_000

log = logging.getLogger(__name__)

View = TypeVar("View", bound=Callable[..., Any])


class Tries:
    """How often an address showed a key that does not work. Each worker counts by itself."""

    def __init__(self) -> None:
        store = MemoryStore(options={"MAX_SIZE": MAX_ADDRESSES})
        self._limiter = GCRARateLimiter(per_min(TRIES_PER_MINUTE, burst=TRIES_PER_MINUTE), store)

    def are_left(self) -> bool:
        """Tell whether this request's address has any left."""
        return self._limiter.peek(_address()).remaining >= 1

    def require_left(self) -> None:
        """Raise TooManyTries where this request's address has none left."""
        if not self.are_left():
            raise TooManyTries(max(1, ceil(self._limiter.peek(_address()).retry_after)))

    def count(self) -> None:
        """Count one that failed. Raises TooManyTries where it was one too many."""
        result = self._limiter.limit(_address())
        if result.limited:
            raise TooManyTries(max(1, ceil(result.state.retry_after)))


class Sessions(SecureCookieSessionInterface):
    """Flask's signed cookies, which browsers keep to https where the page came by it."""

    def get_cookie_secure(self, app: Flask) -> bool:
        """Tell whether the request came encrypted, as a trusted proxy says."""
        return request.is_secure


def public(view: View) -> View:
    """Let anybody ask for this."""
    view.is_public = True  # type: ignore[attr-defined]
    return view


def register_access(app: Flask, secret_key: bytes) -> None:
    """Require a key of every request but those for static files and public views."""
    app.secret_key = secret_key
    app.session_interface = Sessions()
    app.config.update(
        SESSION_COOKIE_NAME="footfall",
        SESSION_COOKIE_HTTPONLY=True,
        # lax, so that a shared link opens signed in; what changes something needs a token besides
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=SESSION_LIFETIME,
        WTF_CSRF_CHECK_DEFAULT=False,
        # as long as the session
        WTF_CSRF_TIME_LIMIT=None,
        # the token is enough; a proxy may hide by which name a browser knows the page
        WTF_CSRF_SSL_STRICT=False,
    )
    CSRFProtect(app)
    app.extensions["tries"] = Tries()
    app.before_request(_require_key)


def actor() -> str:
    """Name who asks, as the audit log has it."""
    key: Key = g.key
    return f"admin key {key.id} ({key.app_name})" if key.app_name else f"admin key {key.id}"


def begin_session(shown: str) -> None:
    """Sign in with a key. Raises NotSignedIn, WrongScope, TooManyTries, KeysUnknown, FormExpired."""
    protect_form()
    tries().require_left()
    key = _find_key(shown)
    session.clear()
    session.permanent = True
    session.update(key_id=key.id, signed_in_at=int(time.time()))
    log.info("signed in", extra={"key_id": key.id})


def end_session() -> None:
    """Forget who is signed in."""
    session.clear()


def session_key() -> Key | None:
    """Return the key of the session, unless there is none, or it is too old, or its key works no more."""
    key_id, signed_in_at = session.get("key_id"), session.get("signed_in_at", 0)
    if key_id is None or time.time() - signed_in_at > SESSION_LIFETIME.total_seconds():
        return None
    key = sources().live.find_key_by_id(key_id)
    return key if key and key.scope == SCOPE else None


def protect_form() -> None:
    """Raise FormExpired unless a request that changes something has the token of its session."""
    try:
        current_app.extensions["csrf"].protect()
    except CSRFError as error:
        raise FormExpired from error


def tries() -> Tries:
    """Return this worker's count of tries."""
    found: Tries = current_app.extensions["tries"]
    return found


def _require_key() -> None:
    # an unknown address is answered as such: there is nothing to protect
    if request.endpoint is None or request.routing_exception or _is_public(request.endpoint):
        return
    header = request.headers.get("Authorization", "")
    if header[:7].lower() == "bearer ":
        g.key = _find_key(header[7:].strip())
        return
    key = session_key()
    if key is None:
        raise NotSignedIn
    # only here: a cookie is sent along by whatever page had the browser send the request, a header is not
    protect_form()
    g.key = key


def _is_public(endpoint: str) -> bool:
    return endpoint == "static" or getattr(current_app.view_functions[endpoint], "is_public", False)


def _find_key(shown: str) -> Key:
    # who has shown enough that do not work sets Postgres to no more of it
    key = sources().live.find_key(shown, may_ask=tries().are_left())
    if key is None:
        log.warning("a key that does not work was shown")
        tries().count()
        raise NotSignedIn
    if key.scope != SCOPE:
        raise WrongScope(key.scope)
    return key


def _address() -> str:
    return request.remote_addr or ""
