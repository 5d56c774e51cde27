"""What a hostile or broken client may send, as hypothesis strategies: bodies, headers, keys. No test stands here."""

import gzip
import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

MEBIBYTE = 2**20
# numbers that Python cannot hold are written into the JSON afterwards
NUMBER = re.compile(r'"number:([^"]+)"')

TEXTS = st.text(max_size=210) | st.sampled_from(
    ["", "\x00", "a\x00b", "\\u0000", "\ud83d", "é" * 50, "😀" * 50, "😀" * 51, "x" * 201, "\u202e", "x" * MEBIBYTE]
)
NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from([2**63 - 1, 2**63, -(2**63), 10**400, 1e308, 5e-324, -0.0])
    | st.sampled_from(["1e400", "-1e-400", "1" * 5_000, "0." + "1" * 5_000, "7.0"]).map(lambda text: f"number:{text}")
)
JSON: SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=9,
)
TIMES = st.builds(
    "{}-06-15T12:00:00{}{:02}:{:02}".format,
    st.sampled_from([2025, 2024, 2030, 1900]),
    st.sampled_from("+-"),
    st.sampled_from([16, 23, 15, 14, 0]),
    st.sampled_from([0, 30, 59]),
) | st.sampled_from(
    [
        "2026-01-01T00:00:00",
        "9999-12-31T23:59:59-14:00",
        "0001-01-01T00:00:00+14:00",
        "2016-12-31T23:59:60Z",
        "1899-12-31T23:59:59Z",
    ]
)
IDS = st.uuids().map(str) | st.integers(-1, 2**63) | TEXTS
FIELDS: dict[str, SearchStrategy[Any]] = {
    **dict.fromkeys(("app_name", "event_name", "session_id", "os", "action_name", "level_name"), TEXTS),
    **dict.fromkeys(("chapter_name", "document_name", "name", "username", "email", "slug", "plan"), TEXTS),
    **dict.fromkeys(("created_at", "sent_at", "updated_at", "started_at", "ends_at"), TIMES),
    **dict.fromkeys(("id", "event_id", "user_id", "org_id", "account_id"), IDS),
    "country_code": st.sampled_from(["DE", "de", "ÄÖ", "DE\n", None]),
    "device_type": st.sampled_from(["mobile", "Mobile", None]),
    **dict.fromkeys(("related_event", "reason"), TEXTS),
    **dict.fromkeys(
        ("points", "credits", "log_id"), NUMBERS | st.integers(-1, 9) | st.sampled_from([2**31 - 1, 2**31])
    ),
    "meta": st.dictionaries(TEXTS, JSON, max_size=3) | JSON,
}
PACKERS: SearchStrategy[Callable[[bytes], bytes]] = st.sampled_from(
    [gzip.compress, lambda body: gzip.compress(body)[:-9], lambda body: body]
)
# what a header can hold as WSGI gives it: latin-1
HEADER_TEXTS = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "HTTP_USER_AGENT": HEADER_TEXTS | st.sampled_from(["x" * 60_000, "Mozilla/5.0 (" + "(" * 30_000, "Googlebot"]),
        "CONTENT_TYPE": HEADER_TEXTS | st.sampled_from(["text/plain", "application/json; charset=x", "a/b+json"]),
        "HTTP_CONTENT_ENCODING": HEADER_TEXTS | st.sampled_from(["gzip", "gzip", "gzip", "br"]),
        "HTTP_ORIGIN": HEADER_TEXTS | st.just("https://app.example"),
        "HTTP_X_FORWARDED_FOR": HEADER_TEXTS,
        "HTTP_IDEMPOTENCY_KEY": HEADER_TEXTS,
    },
)
# how a key is shown, with the name of a scope for a key that works
KEYS = st.sampled_from(
    [
        *({"HTTP_AUTHORIZATION": "Bearer {server}"},) * 30,
        {"HTTP_AUTHORIZATION": "Bearer {write}"},
        {"HTTP_AUTHORIZATION": "Bearer {write},Bearer {write}"},
        {"HTTP_AUTHORIZATION": "Bearer \xff\x00"},
        {"HTTP_AUTHORIZATION": "Basic \xff"},
        {"HTTP_AUTHORIZATION": "Digest a=b"},
        {"HTTP_AUTHORIZATION": ""},
        {"QUERY_STRING": "key={server}"},
        {"QUERY_STRING": "key={server}&key=b"},
        {"QUERY_STRING": "key=%ff%00%f0%9f%98%80"},
        # unescaped bytes that are no UTF-8 do not come this far: the HTTP parser refuses them
        {"QUERY_STRING": "key=%80&key&=&%"},
        {},
    ]
)


def bodies_like(right: dict[str, Any], fields: Iterable[str]) -> SearchStrategy[bytes]:
    """Make bodies of which most hold a record that may be right: `right` with up to two fields made odd."""
    odd = st.one_of([st.fixed_dictionaries({name: FIELDS[name]}) for name in fields if name in FIELDS])
    records = st.tuples(st.just({}) | odd, odd).map(lambda two: {**right, **two[0], **two[1]})
    broken = (
        JSON.map(as_json)
        | st.binary(max_size=200)
        | st.tuples(records.map(as_json), st.integers(0, 300)).map(lambda cut: cut[0][: cut[1]])
        | st.sampled_from([b"[" * MEBIBYTE, b'{"a":' * 200_000, b'"' * MEBIBYTE, b"\xff" * 9])
        | st.integers(1, 700).map(lambda depth: as_json({**right, "meta": {"a": f"number:{'[' * depth}{']' * depth}"}}))
    )
    batches = st.lists(records | records | records | JSON, min_size=1, max_size=9)
    # one that is named twice is drawn twice as often
    return st.one_of(records.map(as_json), batches.map(as_json), batches.map(as_json), broken.map(bytes))


def as_json(value: object) -> bytes:
    return NUMBER.sub(r"\1", json.dumps(value)).encode()
