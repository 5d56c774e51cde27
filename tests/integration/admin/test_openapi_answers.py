"""What the API answers is what its OpenAPI document says, to the last field."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import yaml
from openapi_schema_validator import OAS31Validator
from werkzeug.test import TestResponse

from admin_app.openapi import make_document
from admin_app.reports import REPORTS
from tests.integration.admin.conftest import LOADED_AT, Admin

MODELS = Path(__file__).parents[3] / "transforms" / "models" / "marts"
VALUES = {
    "BIGINT": "7::BIGINT",
    "VARCHAR": "'active'",
    "DATE": f"DATE '{LOADED_AT.date()}'",
    "TIMESTAMPTZ": f"TIMESTAMPTZ '{LOADED_AT.isoformat()}'",
    "BOOLEAN": "true",
    "UUID": "uuid()",
}
DOCUMENT = make_document()
REJECTED = (
    "INSERT INTO rejected_records (kind, event_id, reason, body) VALUES ('events', gen_random_uuid(), 'why', '{}')"
)
LIVE = """
    INSERT INTO tracking_live_sessions (session_id, user_id, user_type, app_name, last_heartbeat)
    VALUES ('s', 1, 'student', 'DViz', now())
"""
READ = ("/api/stats", "/api/settings", "/api/keys", "/api/rejected", "/api/audit", "/api/retention", "/healthz")


def marts() -> dict[str, str]:
    """One row for each mart, of the types that its model promises."""
    queries = {}
    for path in MODELS.glob("*.yml"):
        [model] = yaml.safe_load(path.read_text())["models"]
        columns = (f"{_value(column)} AS {column['name']}" for column in model["columns"])
        queries[model["name"]] = f"SELECT {', '.join(columns)}"
    return {name: query for name, query in queries.items() if name.startswith(("rpt_", "dim_"))}


def assert_described(answer: TestResponse, path: str, method: str = "get") -> dict[str, Any]:
    """Return it, but fail unless the answer is what the document says of this address."""
    described = DOCUMENT["paths"][path][method]["responses"][str(answer.status_code)]
    if "$ref" in described:
        described = DOCUMENT["components"]["responses"][described["$ref"].rpartition("/")[2]]
    found: dict[str, Any] = answer.get_json()
    schema = described["content"]["application/json"]["schema"]
    # references in a schema are to the document that it is of
    OAS31Validator({**schema, "components": DOCUMENT["components"]}).validate(found)
    return found


@pytest.fixture
def full(admin: Admin, database: psycopg.Connection) -> Admin:
    """The read side with something to tell everywhere."""
    database.execute(REJECTED)
    database.execute(LIVE)
    admin.publish(marts())
    admin.refresh_live()
    return admin


def test_every_answer_is_as_described(full: Admin) -> None:
    for path in READ:
        found = assert_described(full.get(path), path)
        # null would be described too, and so would a list without rows
        assert not [name for name, value in found.items() if value == [] or (path == "/api/stats" and value is None)]


def test_every_report_is_as_described(full: Admin) -> None:
    for name in REPORTS:
        path = f"/api/reports/{name}"
        found = assert_described(full.get(path), path)
        assert len(found["rows"]) == 1, name


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("put", "/api/settings", {"tracking_enabled": 0}, 200),
        ("put", "/api/settings", {"tracking_enabled": "maybe"}, 400),
        ("put", "/api/settings", [], 400),
        ("post", "/api/keys", {"scope": "write", "app_name": "DViz"}, 201),
        ("post", "/api/keys", {"scope": "king"}, 400),
        ("delete", "/api/keys/{id}", None, 404),
        ("post", "/api/rejected/retry", {"ids": [1]}, 200),
        ("post", "/api/rejected/retry", {"ids": []}, 400),
        ("get", "/api/audit", None, 200),
    ],
)
def test_every_change_is_answered_as_described(
    admin: Admin, database: psycopg.Connection, method: str, path: str, body: object, status: int
) -> None:
    database.execute(REJECTED)
    answer = admin.client.open(path.replace("{id}", "9999"), method=method, json=body, headers=admin.bearer)
    assert answer.status_code == status, answer.text
    assert_described(answer, path, method)


@pytest.mark.parametrize("path", ["/api/reports/events?from=soon&colour=red", "/api/rejected?limit=0"])
def test_bad_parameters_are_refused_as_described(admin_away: Admin, path: str) -> None:
    found = assert_described(admin_away.get(path), path.partition("?")[0])
    assert found["error"]["parameters"]


def test_stranger_is_refused_as_described(admin_away: Admin) -> None:
    for path in (*READ[:-1], "/api/reports/events"):
        answer = admin_away.client.get(path)
        assert answer.status_code == 401
        assert_described(answer, path)


def _value(column: Mapping[str, str]) -> str:
    if column["name"] == "month":
        return f"'{LOADED_AT:%Y-%m}'"
    data_type = column["data_type"]
    return f"12.5::{data_type}" if data_type.startswith("DECIMAL") else VALUES[data_type]
