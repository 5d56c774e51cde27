"""What the write side answers, as JSON; the one place where errors become HTTP."""

import logging
from collections.abc import Sequence
from uuid import UUID

import msgspec
from flask import Flask, Response
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from ingest_app.errors import RequestRefused

RETRY_AFTER_SECONDS = 5

log = logging.getLogger(__name__)


def answer(body: object, status: int) -> Response:
    """Encode any JSON-able value."""
    return Response(msgspec.json.encode(body), status=status, mimetype="application/json")


def accepted(event_ids: Sequence[UUID | str], count: int, errors: Sequence[dict[str, object]]) -> Response:
    """Answer 202: `count` records are kept, those in `errors` are not."""
    body = {"accepted": count, "dropped": len(errors), "event_ids": event_ids, "errors": errors}
    return answer(body, 202)


def dropped(count: int, reason: str) -> Response:
    """Answer 202 for records that were understood and deliberately not kept."""
    return answer({"accepted": 0, "dropped": count, "reason": reason, "event_ids": [], "errors": []}, 202)


def all_refused(errors: Sequence[dict[str, object]]) -> Response:
    """Answer 400 where no record of a body was valid: the first fault as the error, and every verdict."""
    first = errors[0]
    error = {"code": "invalid_record", "message": first["error"], "field": first["field"]}
    return answer({"error": error, "errors": errors}, 400)


def refused(status: int, code: str, message: str, field: str | None = None) -> Response:
    """Answer an error of INTERFACES.md's shape."""
    return answer({"error": {"code": code, "message": message, "field": field}}, status)


def register_error_handlers(app: Flask) -> None:
    """Turn every error of a request into JSON; what nobody foresaw is logged and answered without detail."""

    @app.errorhandler(RequestRefused)
    def _(error: RequestRefused) -> Response:
        response = refused(error.status, error.code, str(error), error.field)
        if error.retry_after_seconds is not None:
            response.headers["Retry-After"] = str(error.retry_after_seconds)
        return response

    @app.errorhandler(HTTPException)
    def _(error: HTTPException) -> Response:
        response = refused(error.code or 500, error.name.lower().replace(" ", "_"), error.description or error.name)
        if allowed := getattr(error, "valid_methods", None):
            response.headers["Allow"] = ", ".join(allowed)
        return response

    @app.errorhandler(OperationalError)
    @app.errorhandler(InterfaceError)
    @app.errorhandler(IntegrityError)  # an account that was deleted while its heartbeat came in
    @app.errorhandler(PoolTimeout)
    def _(error: Exception) -> Response:
        log.error("not kept: %s", type(error).__name__)
        response = refused(503, "database_unavailable", "the record was not kept: send it again")
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response
