"""What every answer of the read side has in common: its headers, and errors in words."""

import logging
from collections.abc import Callable

import duckdb
import pytest
from flask import Response
from sqlalchemy.exc import OperationalError
from werkzeug.test import TestResponse

from admin_app.answers import CONTENT_SECURITY_POLICY
from admin_app.app import MAX_BODY_BYTES
from tests.integration.admin.conftest import Admin

SECRET = "what-somebody-typed"


@pytest.fixture
def faulty(admin_away: Admin) -> Callable[[Exception], Admin]:
    """The read side with a page and an address of the API that fail."""

    def with_fault(error: Exception) -> Admin:
        def fail() -> Response:
            raise error

        for path in ("/a-page", "/api/a-thing"):
            admin_away.app.add_url_rule(path, path, fail, methods=["GET", "POST"])
        return admin_away

    return with_fault


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/healthz", 200),
        ("GET", "/sign-in", 200),
        ("HEAD", "/sign-in", 200),
        ("OPTIONS", "/sign-in", 200),
        ("POST", "/sign-in", 400),
        ("GET", "/a-page", 303),
        ("GET", "/api/a-thing", 401),
        ("OPTIONS", "/api/a-thing", 401),
        ("GET", "/nowhere", 404),
        ("HEAD", "/nowhere", 404),
        ("GET", "/api/nowhere", 404),
        ("GET", "/static/nowhere.js", 404),
        ("GET", "/static/../settings.py", 404),
        ("PUT", "/sign-in", 405),
        ("TRACE", "/sign-in", 405),
        ("FOO", "/sign-in", 405),
    ],
)
def test_every_answer_says_what_browsers_may_do(
    faulty: Callable[[Exception], Admin], method: str, path: str, status: int
) -> None:
    answer = faulty(RuntimeError()).client.open(path, method=method)
    assert answer.status_code == status
    _require_headers(answer)


@pytest.mark.parametrize("path", ["/a-page", "/api/a-thing"])
@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (RuntimeError(SECRET), 500, "is logged as"),
        (OperationalError(SECRET, {}, Exception(SECRET)), 503, "Postgres does not answer"),
        (duckdb.IOException(SECRET), 503, "the published file cannot be read"),
        (duckdb.OutOfMemoryException(SECRET), 400, "ask for fewer days"),
    ],
)
def test_fault_is_told_in_words(
    faulty: Callable[[Exception], Admin], path: str, error: Exception, status: int, words: str
) -> None:
    answer = faulty(error).get(path)
    assert answer.status_code == status
    assert words.lower() in answer.text.lower()
    assert SECRET not in answer.text
    assert "Traceback" not in answer.text
    assert ("Retry-After" in answer.headers) == (status == 503)
    assert answer.content_type == ("application/json" if path.startswith("/api/") else "text/html; charset=utf-8")
    _require_headers(answer)


def test_unforeseen_fault_is_found_in_the_log(
    faulty: Callable[[Exception], Admin], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    answer = faulty(RuntimeError("x")).get("/api/a-thing")
    [record] = [record for record in caplog.records if record.exc_info]
    assert answer.json["error"]["id"] == record.error_id  # type: ignore[index, attr-defined]


def test_unknown_address_is_json_for_programs_alone(admin_away: Admin) -> None:
    program, person = admin_away.client.get("/api/nowhere"), admin_away.client.get("/nowhere")
    assert program.json["error"]["code"] == "not_found"  # type: ignore[index]
    assert "It is not there" in person.text


def test_wrong_method_names_the_right_ones(admin_away: Admin) -> None:
    answer = admin_away.client.put("/sign-in")
    assert answer.status_code == 405
    assert {"GET", "POST"} <= set(answer.headers["Allow"].replace(" ", "").split(","))


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/api/settings"])
def test_body_beyond_the_limit_is_refused(admin_away: Admin, path: str) -> None:
    admin_away.sign_in()
    method = "PUT" if path.startswith("/api/") else "POST"
    answer = admin_away.client.open(path, method=method, data={"key": "x" * MAX_BODY_BYTES})
    assert answer.status_code == 413
    _require_headers(answer)


def _require_headers(answer: TestResponse) -> None:
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cache-Control"] == "no-store"
