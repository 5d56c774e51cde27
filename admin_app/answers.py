"""What the read side answers: JSON under /api, pages elsewhere; the one place where errors become either.

Also the headers that every answer has.
"""

import logging
import secrets
from datetime import datetime

import duckdb
import msgspec
from flask import Flask, Response, make_response, redirect, render_template, request, url_for
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as AnyResponse

from admin_app.errors import (
    NotSignedIn,
    ParametersRefused,
    PostgresAway,
    PublishedUnreadable,
    RequestRefused,
    TooMuchAsked,
)
from ingest_app.errors import SettingRefused
from ingest_app.logs import describe

# a number as a number: percentages have one decimal, and so do they here
_ENCODER = msgspec.json.Encoder(decimal_format="number")
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

log = logging.getLogger(__name__)


def answer(body: object, status: int = 200) -> Response:
    """Answer JSON; times must be aware, UTC ones end with Z."""
    return Response(_ENCODER.encode(body), status=status, mimetype="application/json")


def iso(when: datetime | None) -> str | None:
    """Write a time as the API does."""
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z") if when else None


def is_api() -> bool:
    """Tell whether a program asks, and not a person's browser."""
    return request.path.startswith("/api/") or request.path == "/openapi.json"


def refused(status: int, code: str, message: str, field: str | None = None, **details: object) -> AnyResponse:
    """Answer an error: for a program in INTERFACES.md's shape, for a person as a page."""
    if is_api():
        return answer({"error": {"code": code, "message": message, "field": field, **details}}, status)
    page = render_template("error.html", status=status, code=code, message=message, **details)
    return make_response(page, status)


def register_error_handlers(app: Flask) -> None:
    """Turn every error of a request into an answer; what nobody foresaw is logged and answered without detail."""
    app.register_error_handler(NotSignedIn, _not_signed_in)
    app.register_error_handler(RequestRefused, _refused)
    app.register_error_handler(SettingRefused, _setting_refused)
    app.register_error_handler(HTTPException, _http_exception)
    for away in (OperationalError, InterfaceError, PoolTimeout):
        app.register_error_handler(away, _away)
    app.register_error_handler(duckdb.Error, _unreadable)
    app.register_error_handler(Exception, _unforeseen)


def _not_signed_in(error: NotSignedIn) -> AnyResponse:
    if is_api():
        response = refused(error.status, error.code, str(error))
        response.headers["WWW-Authenticate"] = "Bearer"
        return response
    # an address is come back to, a form would be sent again without being asked for
    wanted = request.full_path.rstrip("?") if request.method in ("GET", "HEAD") else "/"
    return redirect(url_for("signin.sign_in", next=None if wanted == "/" else wanted), 303)


def _refused(error: RequestRefused) -> AnyResponse:
    details = {"parameters": error.faults} if isinstance(error, ParametersRefused) else {}
    response = refused(error.status, error.code, str(error), error.field, **details)
    if error.retry_after_seconds is not None:
        response.headers["Retry-After"] = str(error.retry_after_seconds)
    return response


def _setting_refused(error: SettingRefused) -> AnyResponse:
    return refused(400, "invalid_setting", str(error), getattr(error, "key", None))


def _http_exception(error: HTTPException) -> AnyResponse:
    if error.response is not None or (error.code or 500) < 400:
        return AnyResponse.force_type(error.get_response())
    response = refused(error.code or 500, error.name.lower().replace(" ", "_"), error.description or error.name)
    if allowed := getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(allowed)
    return response


def _away(error: Exception) -> AnyResponse:
    log.error("Postgres did not answer: %s", describe(error), extra={"endpoint": request.endpoint})
    return _refused(PostgresAway())


def _unreadable(error: duckdb.Error) -> AnyResponse:
    log.error("the published file was not read: %s", type(error).__name__, extra={"endpoint": request.endpoint})
    return _refused(TooMuchAsked() if isinstance(error, duckdb.OutOfMemoryException) else PublishedUnreadable())


def _unforeseen(error: Exception) -> AnyResponse:
    error_id = secrets.token_hex(8)
    log.error("an unforeseen error", exc_info=error, extra={"error_id": error_id, "endpoint": request.endpoint})
    return refused(500, "internal_error", f"something went wrong here, it is logged as {error_id}", id=error_id)


def add_headers(response: AnyResponse) -> AnyResponse:
    """Say what a browser may do with the answer. Scripts and styles are files of ours, and nothing is framed."""
    response.headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "same-origin")
    if "Cache-Control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response
