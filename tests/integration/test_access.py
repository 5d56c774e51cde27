"""Who may send: keys, the pages they are used from, how often; and what a browser is told of it."""

import logging
import time
from collections.abc import Callable
from functools import partial

import pytest
from werkzeug.test import TestResponse

from ingest_app.cors import PUBLIC
from ingest_app.errors import TooManyRequests
from ingest_app.keys import Key
from ingest_app.rates import MAX_KEYS, RateLimits
from tests.integration.conftest import Api
from tests.integration.controlling import new_key

PAGE = "https://app.example"
OTHER = "https://elsewhere.example"
POSTED = ("track-visit", "heartbeat", "activity", "events", "documents", "sessions/heartbeat")
AN_EVENT = {"user_type": "student", "app_name": "DViz", "event_type": "button", "event_name": "press"}
MakeKey = Callable[..., str]


@pytest.fixture
def make_key(database_url: str) -> MakeKey:
    return partial(new_key, database_url)


def post(api: Api, key: str | None, body: object = AN_EVENT, path: str = "/api/events", **headers: str) -> TestResponse:
    sent = {"Authorization": f"Bearer {key}"} if key else {}
    return api.client.post(path, headers={**sent, **headers}, json=body)


def preflight(api: Api, path: str, origin: str, method: str = "POST") -> TestResponse:
    headers = {"Origin": origin, "Access-Control-Request-Method": method}
    return api.client.options(path, headers={**headers, "Access-Control-Request-Headers": "authorization,content-type"})


@pytest.mark.parametrize(
    ("scope", "origins", "sent", "is_allowed"),
    [
        ("write", (), PAGE, True),
        ("write", (), "null", True),
        ("write", (PAGE,), PAGE, True),
        ("write", (OTHER, PAGE), PAGE, True),
        ("write", (PAGE,), OTHER, False),
        ("write", (PAGE,), "null", False),
        ("write", ("null",), "null", True),
        ("write", (PAGE,), f"{PAGE}.evil.example", False),
        ("write", (PAGE,), "http://app.example", False),
        ("write", (PAGE,), f"{PAGE}:8443", False),
        ("write", (PAGE,), "", False),
        ("server", (), PAGE, False),
        ("server", (PAGE,), PAGE, True),
        ("server", (OTHER,), PAGE, False),
        ("admin", (), PAGE, False),
    ],
)
def test_key_is_bound_to_its_origins(scope: str, origins: tuple[str, ...], sent: str, is_allowed: bool) -> None:
    assert Key(1, scope, None, origins, 1_000).allows_origin(sent) is is_allowed


def test_origin_is_asked_of_browsers_alone(api: Api, make_key: MakeKey) -> None:
    key = make_key(origins=(PAGE, "https://Second.example:443"))
    sent = (None, PAGE, "https://second.example", OTHER, "null", "")
    statuses = [post(api, key, **({} if origin is None else {"Origin": origin})).status_code for origin in sent]
    assert statuses == [202, 202, 202, 403, 403, 403]


def test_refused_origin_is_told_what_to_do(api: Api, make_key: MakeKey) -> None:
    error = post(api, make_key(origins=(OTHER,)), Origin=PAGE).json["error"]  # type: ignore[index]
    assert error["code"] == "origin_not_allowed"
    assert PAGE in error["message"]
    assert f"footfall keys create --scope write --origin {PAGE}" in error["message"]
    assert "browser" not in error["message"]


def test_server_key_in_a_page_is_called_misplaced(api: Api, make_key: MakeKey) -> None:
    error = post(api, make_key("server"), Origin=PAGE).json["error"]  # type: ignore[index]
    assert error["code"] == "origin_not_allowed"
    assert "a server key does not belong in a browser" in error["message"]


def test_preflight_of_each_post_is_allowed(api: Api) -> None:
    responses = [preflight(api, f"/api/{name}", PAGE) for name in POSTED]
    assert {(response.status_code, response.data) for response in responses} == {(204, b"")}
    assert {response.headers["Access-Control-Allow-Methods"] for response in responses} == {"POST"}
    for response in responses:
        _assert_readable(response)


def test_preflight_says_which_headers_and_how_long(api: Api) -> None:
    headers = preflight(api, "/api/events", PAGE).headers
    allowed = headers["Access-Control-Allow-Headers"].split(", ")
    assert {"authorization", "content-type", "content-encoding", "idempotency-key"} <= set(allowed)
    assert int(headers["Access-Control-Max-Age"]) > 0
    assert "Access-Control-Allow-Credentials" not in headers


def test_preflight_asks_whether_any_key_would_do(api: Api, make_key: MakeKey) -> None:
    _revoke_all(api)
    listed = make_key(origins=(PAGE,))
    assert post(api, listed).status_code == 202  # so that the app knows it
    assert preflight(api, "/api/events", PAGE).status_code == 204
    refused = preflight(api, "/api/events", OTHER)
    assert (refused.status_code, refused.json["error"]["code"]) == (403, "origin_not_allowed")  # type: ignore[index]


def test_preflight_with_a_key_asks_that_key(api: Api, make_key: MakeKey) -> None:
    listed = make_key(origins=(PAGE,))
    assert post(api, listed).status_code == 202
    assert preflight(api, f"/api/events?key={listed}", PAGE).status_code == 204
    assert preflight(api, f"/api/events?key={listed}", OTHER).status_code == 403
    # may come as far as the 401 that its script can read
    assert preflight(api, "/api/events?key=unknown", OTHER).status_code == 204


def test_preflight_for_servers_needs_a_named_origin(api: Api, make_key: MakeKey) -> None:
    stated = {"PUT": "/api/users", "DELETE": "/api/users/7"}
    assert [preflight(api, stated[method], PAGE, method).status_code for method in stated] == [403, 403]
    assert post(api, make_key("server", (PAGE,))).status_code == 202
    allowed = [preflight(api, stated[method], PAGE, method) for method in stated]
    assert [response.headers["Access-Control-Allow-Methods"] for response in allowed] == ["PUT", "DELETE"]
    assert [preflight(api, stated[method], OTHER, method).status_code for method in stated] == [403, 403]


def test_page_can_read_every_answer(api: Api) -> None:
    write, server = api.keys["write"], api.keys["server"]
    sent = {
        202: (write, AN_EVENT),
        400: (write, {}),
        401: ("unknown", AN_EVENT),
        403: (server, AN_EVENT),
        413: (write, [AN_EVENT] * 1_001),
    }
    responses = {status: post(api, *arguments, Origin=PAGE) for status, arguments in sent.items()}
    assert {status: response.status_code for status, response in responses.items()} == {each: each for each in sent}
    for response in responses.values():
        _assert_readable(response)


def test_page_can_read_how_long_to_wait(api: Api, make_key: MakeKey) -> None:
    response = _until_limited(api, make_key(rate=1), Origin=PAGE)
    _assert_readable(response)
    assert response.headers["Access-Control-Expose-Headers"] == "Retry-After, Idempotency-Replayed"


@pytest.mark.parametrize("headers", [{}, {"Origin": PAGE}])
def test_public_pages_are_for_any_page(api: Api, headers: dict[str, str]) -> None:
    responses = [api.client.get(path, headers=headers) for path in PUBLIC]
    assert {response.headers["Access-Control-Allow-Origin"] for response in responses} == {"*"}
    assert ["Origin" in response.headers.get("Vary", "") for response in responses] == [False] * len(PUBLIC)


def test_metrics_are_not_for_other_pages(api: Api) -> None:
    assert "Access-Control-Allow-Origin" not in api.client.get("/metrics", headers={"Origin": PAGE}).headers


def test_answer_without_origin_has_no_cors_headers(api: Api) -> None:
    response = post(api, api.keys["write"])
    assert [name for name in dict(response.headers) if name.startswith("Access-Control")] == []


def test_odd_origin_is_no_server_error(api: Api, make_key: MakeKey) -> None:
    odd = ("caf\xe9", "a b", "x" * 5_000, '"><script>', " ", "\t")
    listed = make_key(origins=(PAGE,))
    assert {post(api, api.keys["write"], Origin=origin).status_code for origin in odd} == {202}
    refused = [post(api, listed, Origin=origin) for origin in odd]
    assert {response.status_code for response in refused} == {403}
    assert max(len(response.data) for response in refused) < 1_000
    # not every server can send back what it was sent
    echoed = [response.headers.get("Access-Control-Allow-Origin") for response in refused]
    assert [origin for origin in echoed if origin and not (origin.isascii() and len(origin) <= 300)] == []
    assert max(preflight(api, "/api/events", origin).status_code for origin in odd) < 500


def test_beacon_is_accepted_without_preflight(api: Api) -> None:
    address = f"/api/events?key={api.keys['write']}"
    body = b'{"user_type":"guest","app_name":"DViz","event_type":"visit","event_name":"leave"}'
    response = api.client.post(address, data=body, content_type="text/plain;charset=UTF-8", headers={"Origin": PAGE})
    assert (response.status_code, response.json["accepted"]) == (202, 1)  # type: ignore[index]


def test_bearer_is_read_as_http_has_it(api: Api) -> None:
    shown = [form.format(api.keys["write"]) for form in ("bearer {}", "Bearer  {}", "BEARER {} ")]
    sent = [api.client.post("/api/events", headers={"Authorization": each}, json=AN_EVENT) for each in shown]
    assert [response.status_code for response in sent] == [202, 202, 202]


def test_key_in_the_address_counts_beside_other_schemes(api: Api) -> None:
    address = f"/api/events?key={api.keys['write']}"
    sent = {"Authorization": "Basic dXNlcjpwYXNz"}
    assert api.client.post(address, headers=sent, json=AN_EVENT).status_code == 202


def test_key_is_in_no_log_and_no_answer(api: Api, make_key: MakeKey, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keys = [*api.keys.values(), make_key(origins=(OTHER,)), make_key(rate=1), "ff_write_unknown"]
    texts = []
    for key in keys:
        for path in ("/api/events", "/api/events/", "/api/users", "/api/none"):
            for method in ("POST", "PUT", "GET", "OPTIONS"):
                for body in (b"{", b'{"user_type": 1}'):
                    sent = api.client.open(f"{path}?key={key}", method=method, data=body, headers={"Origin": PAGE})
                    texts += [sent.text, str(sent.headers)]
    texts += [record.getMessage() + str(record.exc_info) for record in caplog.records]
    assert [text for text in texts for key in keys if key in text] == []


def test_faster_than_its_rate_is_answered_429(api: Api, make_key: MakeKey) -> None:
    key = make_key(rate=2)
    response = _until_limited(api, key)
    assert int(response.headers["Retry-After"]) >= 1
    error = response.json["error"]  # type: ignore[index]
    assert (error["code"], error["field"]) == ("too_many_requests", None)
    assert "2 requests a second" in error["message"]
    assert post(api, api.keys["write"]).status_code == 202, "another key has a count of its own"
    deadline = time.monotonic() + int(response.headers["Retry-After"])
    while post(api, key).status_code != 202:
        assert time.monotonic() < deadline, "it was told to come back by now"


def test_limited_requests_are_not_kept(api: Api, make_key: MakeKey) -> None:
    key = make_key(rate=5)
    accepted = [post(api, key).status_code for _ in range(30)].count(202)
    assert 5 <= accepted < 30
    assert api.drainer.drain_round().records == accepted


def test_rate_holds_over_any_stretch_of_time() -> None:
    rates, key, started = RateLimits(), _a_key(1, 50), time.monotonic()
    passed = sum(_passes(rates, key) for _ in range(20_000))
    assert 50 <= passed <= 50 + 50 * (time.monotonic() - started)


def test_limiter_remembers_no_more_keys_than_it_may() -> None:
    rates, first = RateLimits(), _a_key(0, 1)
    while _passes(rates, first):
        pass
    for number in range(1, MAX_KEYS + 1):
        rates.count(_a_key(number, 1_000_000))
    assert _passes(rates, first), "the one that was silent longest is forgotten"


def _a_key(key_id: int, rate: int) -> Key:
    return Key(key_id, "write", None, (), rate)


def _passes(rates: RateLimits, key: Key) -> bool:
    try:
        rates.count(key)
    except TooManyRequests:
        return False
    return True


def _until_limited(api: Api, key: str, **headers: str) -> TestResponse:
    answers = (post(api, key, **headers) for _ in range(50))
    return next(answer for answer in answers if answer.status_code == 429)


def _assert_readable(response: TestResponse) -> None:
    assert (response.headers["Access-Control-Allow-Origin"], response.headers["Vary"]) == (PAGE, "Origin")


def _revoke_all(api: Api) -> None:
    engine = api.client.application.extensions["footfall"].engine
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE api_keys SET revoked_at = now()")
