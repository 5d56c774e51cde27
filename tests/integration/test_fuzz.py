"""Hostile requests at each endpoint: no 500, no page of HTML, no answer but those described, no row out of shape.

What is answered 202 must become a row: a record that Postgres refuses afterwards is a hole in the validation.
"""

from collections.abc import Callable
from typing import Any

import msgspec
import psycopg
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from werkzeug.test import TestResponse

from ingest_app.app import STATED, TRACKED
from ingest_app.kinds import KINDS
from ingest_app.openapi import REFUSALS, Accepted, Refused
from ingest_app.rewards.described import ANSWERS
from ingest_app.rewards.moves import MOVES
from ingest_app.schema.events import EVENT_TABLES
from tests.integration.conftest import Api
from tests.integration.hostile import HEADER_TEXTS, HEADERS, KEYS, PACKERS, bodies_like
from tests.integration.test_ingest_api import POSTED, PUT

# a body of a megabyte is slow to make and is meant; what was found once is in a test of its own, not in a database
FUZZ = settings(deadline=None, suppress_health_check=list(HealthCheck), database=None)
EXAMPLES_OF_EACH_ENDPOINT = 60
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
    response_headers_conformance,
]
# what a stored row never is, where its column's type does not hold it to that
OUT_OF_SHAPE = {
    "activity_events": "action_name = '' OR created_at < '1899-12-31' OR created_at > now() + interval '6 minutes'",
    "tracking_events": "app_name = '' OR event_name = '' OR session_id = '' OR country_code !~ '^[A-Z]{2}$' "
    "OR user_id < 0 OR jsonb_typeof(meta) <> 'object' OR created_at > now() + interval '6 minutes'",
    "tracking_documents": "app_name = '' OR level_name = '' OR country_code !~ '^[A-Z]{2}$' OR user_id < 0",
    "visitor_sessions": "session_id = '' OR char_length(session_id) > 200 OR first_seen_at > last_seen_at",
    "tracking_live_sessions": "session_id = '' OR app_name = '' OR country_code !~ '^[A-Z]{2}$' OR user_id < 0",
    "user_heartbeats": "last_seen_at > now() + interval '1 minute'",
    "accounts": "username = '' OR char_length(username) > 500 OR created_at < '1899-12-31'",
    "organizations": "name = '' OR char_length(name) > 500",
    "subscriptions": "ends_at < '1899-12-31' OR ends_at >= '10000-01-01'",
    "users": "id < 0 OR name = '' OR country_code !~ '^[A-Z]{2}$'",
    "user_points": "user_id < 0",
    "user_point_logs": "user_id < 0 OR points <= 0 OR related_event = '' OR reason = ''",
    "user_credits": "user_id < 0",
    "user_credit_logs": "user_id < 0 OR credits_added = 0",
    "idempotency_keys": "idempotency_key !~ '^[ -~]{1,255}$' OR status <> 200 OR answer::json ->> 'user_id' IS NULL",
}
MOVED: dict[str, dict[str, Any]] = {
    "points/earn": {"user_id": 7, "points": 5, "related_event": "quiz"},
    "points/redeem": {"user_id": 7, "credits": 1},
    "credits/spend": {"user_id": 7, "credits": 1},
    "points/reverse": {"log_id": 1, "reason": "refund"},
}
# a balance that is not the sum of its log
DRIFT = """
    SELECT user_id FROM user_points FULL JOIN (
        SELECT user_id, sum(CASE action WHEN 'earn' THEN points ELSE -points END) AS points
        FROM user_point_logs GROUP BY user_id
    ) AS log USING (user_id) WHERE user_points.points IS DISTINCT FROM log.points
    UNION ALL
    SELECT user_id FROM user_credits FULL JOIN (
        SELECT user_id, sum(credits_added) AS credits FROM user_credit_logs GROUP BY user_id
    ) AS log USING (user_id) WHERE user_credits.credits IS DISTINCT FROM log.credits
"""


def assert_all_in_shape(api: Api, database: psycopg.Connection) -> None:
    api.drain()
    assert database.execute("SELECT kind, reason, body FROM rejected_records").fetchall() == []
    for table, condition in OUT_OF_SHAPE.items():
        assert database.execute(f"SELECT * FROM {table} WHERE {condition}").fetchall() == []
        # Python, too, can read every time
        database.execute(f"SELECT * FROM {table}").fetchall()
    assert database.execute(DRIFT).fetchall() == []


def assert_described(response: TestResponse) -> None:
    if response.status_code == 204:
        return
    assert response.mimetype == "application/json"
    assert response.status_code == 202 or str(response.status_code) in REFUSALS
    msgspec.json.decode(response.data, type=Accepted if response.status_code == 202 else Refused)


def test_every_operation_keeps_to_its_description(api: Api, database: psycopg.Connection) -> None:
    # the script is a file without input, and schemathesis does not close the files that it is answered
    schema = schemathesis.openapi.from_wsgi("/openapi.json", api.client.application).exclude(path="/tracker.js")
    headers = {"Authorization": f"Bearer {api.keys['server']}"}
    right, wrong = (schema.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode)

    @settings(FUZZ, max_examples=80)
    @given(case=right | wrong)
    def fuzz(case: schemathesis.Case[Any]) -> None:
        case.call_and_validate(headers=headers, checks=CHECKS)

    fuzz()
    assert_all_in_shape(api, database)


@pytest.mark.parametrize("path", [*POSTED, *PUT])
def test_hostile_bytes_get_a_described_answer(api: Api, database: psycopg.Connection, path: str) -> None:
    table, right = {**POSTED, **PUT}[path]
    kept: set[str] = set()

    @settings(FUZZ, max_examples=EXAMPLES_OF_EACH_ENDPOINT)
    @given(
        body=bodies_like(right, KINDS[path.removeprefix("/api/")].record.__struct_fields__),
        pack=PACKERS,
        headers=st.just({}) | st.just({}) | HEADERS,
        shown=KEYS,
    )
    def fuzz(body: bytes, pack: Callable[[bytes], bytes], headers: dict[str, str], shown: dict[str, str]) -> None:
        keys = {name: value.format(**api.keys) for name, value in shown.items()}
        sent = pack(body) if headers.get("HTTP_CONTENT_ENCODING") == "gzip" else body
        method = "POST" if path in POSTED else "PUT"
        response = api.client.open(path, method=method, data=sent, environ_overrides={**headers, **keys})
        assert_described(response)
        if response.status_code == 202:
            kept.update(response.json["event_ids"])  # type: ignore[index]

    fuzz()
    assert_all_in_shape(api, database)
    rows = database.execute(f"SELECT count(*) FROM {table}").fetchone()
    assert rows is not None
    assert rows[0] == len(kept) if table in {one.name for one in EVENT_TABLES} else rows[0] > 0


@pytest.mark.parametrize("name", MOVED)
def test_hostile_moves_get_a_described_answer(api: Api, database: psycopg.Connection, name: str) -> None:
    right = MOVED[name]

    @settings(FUZZ, max_examples=EXAMPLES_OF_EACH_ENDPOINT)
    @given(
        body=bodies_like(right, MOVES[name].record.__struct_fields__),
        pack=PACKERS,
        headers=st.just({}) | st.just({}) | HEADERS,
        shown=KEYS,
        idempotency_key=st.uuids().map(str) | st.just("again") | HEADER_TEXTS,
    )
    def fuzz(
        body: bytes,
        pack: Callable[[bytes], bytes],
        headers: dict[str, str],
        shown: dict[str, str],
        idempotency_key: str,
    ) -> None:
        keys = {name: value.format(**api.keys) for name, value in shown.items()}
        sent = pack(body) if headers.get("HTTP_CONTENT_ENCODING") == "gzip" else body
        overrides = {"HTTP_IDEMPOTENCY_KEY": idempotency_key, **headers, **keys}
        response = api.client.post(f"/api/{name}", data=sent, environ_overrides=overrides)
        if response.status_code == 200:
            msgspec.json.decode(response.data, type=ANSWERS[name])
        else:
            assert_described(response)

    api.send("/api/points/earn", {"user_id": 7, "points": 10_000}, "server", **{"Idempotency-Key": "first"})
    api.send("/api/points/redeem", {"user_id": 7, "credits": 9}, "server", **{"Idempotency-Key": "second"})
    fuzz()
    assert_all_in_shape(api, database)


def test_hostile_addresses_get_a_described_answer(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.keys['server']}"}
    ids = HEADER_TEXTS | st.text(max_size=9) | st.integers().map(str) | st.uuids().map(str)

    @settings(FUZZ, max_examples=100)
    @given(
        name=st.sampled_from([*STATED, *TRACKED, "points", "credits", ".."]),
        tail=ids,
        method=st.sampled_from(["DELETE", "PATCH", "GET"]),
    )
    def fuzz(name: str, tail: str, method: str) -> None:
        response = api.client.open(f"/api/{name}/{tail}", method=method, headers=headers)
        assert response.mimetype == "application/json" or response.status_code == 204
        assert response.status_code in {204, 400, 404, 405}

    fuzz()
