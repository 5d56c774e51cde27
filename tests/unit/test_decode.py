"""From bytes to records: whatever comes, each item gets a verdict and nothing but InvalidRecord is raised."""

import json
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_app.decode import MAX_ITEMS, decode_body
from ingest_app.errors import BodyTooLarge, InvalidRecord, RequestRefused
from ingest_app.kinds import KINDS
from ingest_app.records import Activity, Event, Heartbeat, Record

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)


@given(body=st.binary(max_size=64) | JSON.map(lambda value: json.dumps(value).encode()))
@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_any_body_is_decoded_or_refused(kind: object, body: bytes) -> None:
    record: type[Record] = getattr(kind, "record")  # noqa: B009
    try:
        decoded = decode_body(body, record)
    except RequestRefused:
        return
    assert decoded.records or decoded.errors


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


@pytest.mark.parametrize(
    "bad", [b'{"event_type": "login", "action_name": "\xff"}', b'"\\ud83d"', b'{"event_type": NaN}']
)
def test_bad_text_of_one_item_spares_the_others(bad: bytes) -> None:
    decoded = decode_body(b'[{"event_type": "login"}, ' + bad + b"]", Activity)
    assert len(decoded.records) == 1
    assert [error["index"] for error in decoded.errors] == [1]
