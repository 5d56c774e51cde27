"""What the write side answers, as JSON; the one place where errors become HTTP."""

import logging
import secrets
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from uuid import UUID

import msgspec
from flask import Flask, Response, request
from sqlalchemy.exc import IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from werkzeug.exceptions import HTTPException

from ingest_app.errors import RequestRefused
from ingest_app.logs import describe
from ingest_app.rewards.errors import NotEnough

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

RETRY_AFTER_SECONDS = 5
# where a request's environment has its Answer
ANSWER = "footfall.answer"

log = logging.getLogger(__name__)


class Answer(Response):
    """An answer that also says what the metrics count: the request's outcome, an error's code, and its records."""

    outcome = "ok"
    accepted_count = 0
    dropped_count = 0
    drop_reason = "invalid"

    def __call__(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Leave itself where the metrics look for it: a hook of Flask's would cost more.

        The body goes out as a list, which granian sends in one go; Werkzeug's own iterator it would ask piece by piece.
        """
        environ[ANSWER] = self
        start_response(self.status, self.get_wsgi_headers(environ).to_wsgi_list())
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [self.get_data()]


def answer(body: object, status: int, outcome: str = "ok") -> Answer:
    """Encode any JSON-able value. An outcome is a metric's label: one of few, never what somebody sent."""
    return encoded(msgspec.json.encode(body), status, outcome)


def encoded(body: bytes, status: int, outcome: str = "ok") -> Answer:
    """Answer what is JSON already."""
    response = Answer(body, status=status, mimetype="application/json")
    response.outcome = outcome
    return response


def accepted(event_ids: Sequence[UUID | str], count: int, errors: Sequence[dict[str, object]]) -> Response:
    """Answer 202: `count` records are kept, those in `errors` are not."""
    body = {"accepted": count, "dropped": len(errors), "event_ids": event_ids, "errors": errors}
    response = answer(body, 202, "accepted")
    response.accepted_count, response.dropped_count = count, len(errors)
    return response


def dropped(count: int, reason: str, errors: Sequence[dict[str, object]]) -> Response:
    """Answer 202 for `count` records that were deliberately not kept; those in `errors` would not have been anyway."""
    body = {"accepted": 0, "dropped": count, "reason": reason, "event_ids": [], "errors": errors}
    response = answer(body, 202, reason)
    response.dropped_count, response.drop_reason = count, reason
    return response


def all_refused(errors: Sequence[dict[str, object]]) -> Response:
    """Answer 400 where no record of a body was valid: the first fault as the error, and every verdict."""
    first = errors[0]
    error = {"code": "invalid_record", "message": first["error"], "field": first["field"]}
    response = answer({"error": error, "errors": errors}, 400, "invalid_record")
    response.dropped_count = len(errors)
    return response


def refused(status: int, code: str, message: str, field: str | None = None, **details: int) -> Response:
    """Answer an error of INTERFACES.md's shape."""
    return answer({"error": {"code": code, "message": message, "field": field, **details}}, status, code)


def register_error_handlers(app: Flask) -> None:
    """Turn every error of a request into JSON; what nobody foresaw is logged and answered without detail."""

    @app.errorhandler(RequestRefused)
    def _(error: RequestRefused) -> Response:
        details = {"missing": error.missing} if isinstance(error, NotEnough) else {}
        response = refused(error.status, error.code, str(error), error.field, **details)
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
        log.error("not kept: %s", describe(error), extra={"endpoint": request.endpoint})
        response = refused(503, "database_unavailable", "the record was not kept: send it again")
        response.headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
        return response

    @app.errorhandler(Exception)
    def _(error: Exception) -> Response:
        error_id = secrets.token_hex(8)
        log.error("an unforeseen error", exc_info=error, extra={"error_id": error_id, "endpoint": request.endpoint})
        message = f"something went wrong here, it is logged as {error_id}"
        body = {"code": "internal_error", "message": message, "field": None, "id": error_id}
        return answer({"error": body}, 500, "internal_error")
