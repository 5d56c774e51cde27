"""From bytes to records: whatever comes, each item gets a verdict and nothing but InvalidRecord is raised."""

import json
import re
import uuid

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_app.decode import MAX_ITEMS, MAX_NESTING, Decoded, decode_body, decode_items, nesting_of
from ingest_app.errors import BodyTooLarge, InvalidRecord, RequestRefused
from ingest_app.kinds import KINDS, Kind
from ingest_app.records import Activity, Event, Heartbeat, Subscription

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)


AN_EVENT = {"user_type": "student", "app_name": "DViz", "event_type": "button", "event_name": "press"}
TIMES = (
    "2026-01-01T00:00:00Z",
    "1899-12-31T23:59:59Z",
    "9999-12-31T23:59:59-01:00",
    "2026-01-01T00:00:00",
    "2026-01-01T00:00:00+23:59",
)
TEXTS = ("a", "", "x" * 101, "a\x00b", "\\u0000", "\ud83d", "😀")
# each field has values of which some are right: every mixture of good and bad items comes up
EVENTS = st.fixed_dictionaries(
    {"user_type": st.sampled_from(["guest", "guest", "admin"])}
    | {name: st.just("a") | st.sampled_from(TEXTS) for name in ("app_name", "event_name")}
    | {"event_type": st.just("visit")},
    optional={
        "created_at": st.sampled_from([TIMES[0], *TIMES]),
        "sent_at": st.sampled_from([TIMES[0], *TIMES]),
        "user_id": st.integers(-1, 2**63),
        "event_id": st.uuids().map(str) | st.just("no uuid"),
        "country_code": st.sampled_from(["DE", "de", "DE\n", None]),
        "meta": JSON | st.dictionaries(st.sampled_from(TEXTS), st.sampled_from(TEXTS)),
    },
)
ITEMS = EVENTS | st.just(AN_EVENT)


def everything_in(decoded: Decoded) -> tuple[list[dict[str, object]], list[dict[str, object]]]:
    return [msgspec.structs.asdict(record) for record in decoded.records], decoded.errors


@given(body=st.binary(max_size=64) | JSON.map(lambda value: json.dumps(value).encode()))
@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_any_body_is_decoded_or_refused(kind: Kind, body: bytes) -> None:
    try:
        decoded = decode_body(body, kind.record)
    except RequestRefused:
        return
    assert decoded.records or decoded.errors


@settings(max_examples=300)
@given(value=ITEMS | st.lists(ITEMS, max_size=5), is_ascii=st.booleans(), start=st.sampled_from([b"", b" \n"]))
def test_reading_at_once_gives_each_item_the_same_verdict(value: object, is_ascii: bool, start: bytes) -> None:
    body = start + json.dumps(value, ensure_ascii=is_ascii).encode(errors="surrogatepass")
    try:
        expected = everything_in(decode_items(body, Event))
    except InvalidRecord as refused:
        with pytest.raises(InvalidRecord, match=re.escape(str(refused))):
            decode_body(body, Event)
        return
    assert everything_in(decode_body(body, Event)) == expected


@pytest.mark.parametrize(
    ("fields", "field", "says"),
    [
        ({"event_name": "a\x00b"}, "event_name", "NUL"),
        ({"meta": {"deep": [{"a\x00": 1}]}}, "meta", "NUL"),
        ({"meta": {"deep": [{"a": "\x00"}]}}, "meta", "NUL"),
        ({"meta": {"deep": "\\u0000"}}, None, ""),
        ({"created_at": "1900-01-01T00:00:00+14:00"}, None, ""),
        ({"created_at": "1899-12-31T23:59:59Z"}, "created_at", "1900"),
        ({"sent_at": "0001-01-01T00:00:00+14:00"}, "sent_at", "1900"),
        ({"sent_at": "9999-12-31T23:59:59Z"}, None, ""),
        ({"created_at": "2026-01-01T00:00:00-15:00"}, None, ""),
        ({"created_at": "2026-01-01T00:00:00+15:01"}, "created_at", "zone"),
        ({"sent_at": "9999-12-31T23:59:59-00:01"}, "sent_at", "10000"),
    ],
)
def test_what_no_column_can_hold_is_refused(fields: dict[str, object], field: str | None, says: str) -> None:
    body = json.dumps([{**AN_EVENT, **fields}, AN_EVENT]).encode()
    decoded = decode_body(body, Event)
    assert [(error["field"], says in str(error["error"])) for error in decoded.errors] == [(field, True)] * bool(field)


@pytest.mark.parametrize(("year", "count"), [(1899, 0), (1900, 1), (9999, 1)])
def test_times_of_state_are_bounded_too(year: int, count: int) -> None:
    body = {"id": str(uuid.uuid4()), "status": "active", "ends_at": f"{year}-12-31T00:00:00Z"}
    assert len(decode_body(json.dumps(body).encode(), Subscription).records) == count


@pytest.mark.parametrize("batch", [b"%s", b"[%s]"])
@pytest.mark.parametrize("meta", [b'{"a": %s}', b'{"]": "\\"]]}}", "a": %s}'])
def test_what_can_be_decoded_can_be_encoded_however_deep(batch: bytes, meta: bytes) -> None:
    decoded_depths, refused_depths = [], []
    for depth in (10, *range(MAX_NESTING - 5, MAX_NESTING + 5), 1_000, 10_000, 100_000):
        event = json.dumps(AN_EVENT)[:-1].encode() + b', "meta": ' + meta % (b"[" * depth + b"]" * depth) + b"}"
        try:
            decoded = decode_body(batch % event, Event)
        except InvalidRecord as refused:
            assert "nested too deeply" in str(refused)
            refused_depths.append(depth)
            continue
        msgspec.json.encode([{"meta": record.meta} for record in decoded.records if isinstance(record, Event)])
        decoded_depths.append(depth)
    assert max(decoded_depths) < min(refused_depths) <= MAX_NESTING


@given(value=JSON)
def test_nesting_is_counted_outside_of_texts(value: object) -> None:
    def depth_of(value: object) -> int:
        inner = value if isinstance(value, list) else value.values() if isinstance(value, dict) else None
        return 0 if inner is None else 1 + max((depth_of(one) for one in inner), default=0)

    assert nesting_of(json.dumps(value).encode()) == depth_of(value)
    assert nesting_of(json.dumps(json.dumps(value)).encode()) == 0


@given(good=st.lists(st.booleans(), min_size=1, max_size=30))
def test_verdicts_name_exactly_the_bad_items(good: list[bool]) -> None:
    batch: list[dict[str, object]] = [{"user_id": str(uuid.uuid4())} if is_good else {"user_id": 5} for is_good in good]
    decoded = decode_body(json.dumps(batch).encode(), Heartbeat)
    assert len(decoded.records) == sum(good)
    assert [error["index"] for error in decoded.errors] == [n for n, is_good in enumerate(good) if not is_good]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"event_type": "login", "action_name": "x" * 129}, "action_name"),
        ({"event_type": "logout"}, "event_type"),
        ({}, "event_type"),
        ({"event_type": "login", "user_id": "7"}, "user_id"),
        ({"event_type": "login", "event_id": 7}, "event_id"),
        ([], None),
        ("\ud83d", None),
        ({"event_type": "login", "action_name": "cut \ud83d"}, None),
    ],
)
def test_verdict_names_the_field(body: object, field: str | None) -> None:
    decoded = decode_body(json.dumps([body]).encode(), Activity)
    assert [error["field"] for error in decoded.errors] == [field]


@pytest.mark.parametrize("body", [b"", b"   ", b"{", b"[1,", b"\x00", b"[" * 100_000])
def test_what_is_no_json_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidRecord):
        decode_body(body, Event)


def test_batch_has_a_limit() -> None:
    with pytest.raises(BodyTooLarge):
        decode_body(b"[" + b"1," * MAX_ITEMS + b"1]", Event)
    item = json.dumps(AN_EVENT).encode()
    with pytest.raises(BodyTooLarge):
        decode_body(b"[" + b",".join([item] * (MAX_ITEMS + 1)) + b"]", Event)
    assert len(decode_body(b"[" + b",".join([item] * MAX_ITEMS) + b"]", Event).records) == MAX_ITEMS


@pytest.mark.parametrize(
    "bad",
    [
        b'{"event_type": "login", "action_name": "\xff"}',
        b'"\\ud83d"',
        b'{"event_type": NaN}',
        b'"\\ud83d \xff"',
        b'{"event_type": "login", "action_name": "\\u0000"}',
    ],
)
def test_bad_text_of_one_item_spares_the_others(bad: bytes) -> None:
    decoded = decode_body(b'[{"event_type": "login"}, ' + bad + b"]", Activity)
    assert len(decoded.records) == 1
    assert [error["index"] for error in decoded.errors] == [1]
