"""From a request's bytes to records: each item gets its own verdict. No database, no HTTP answer."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Annotated, Any, TypeVar, cast

import msgspec
from msgspec import Meta
from werkzeug.datastructures import MultiDict

from ingest_app.errors import BodyTooLarge, InvalidRecord
from ingest_app.records import NUL, Record, without_nul_search

MAX_ITEMS = 1_000
# Python 3.13 lets a decoder go so deep that a thread's stack of 2 MB is overrun, which ends the worker: at about 6,000.
# No app nests its `meta` by a tenth of that
MAX_NESTING = 500

# msgspec ends a message with the place: "… - at `$.meta[...]`"; a missing field it names in the text
PLACE = re.compile(r"^(?P<problem>.*?)(?: - at `\$\.(?P<place>[^`]*)`)?$", re.DOTALL)
MISSING_FIELD = re.compile(r"missing required field `(?P<name>[^`]+)`")
# whatever a decoder says of bytes that are no record; bad UTF-8 inside of a text comes as the last one
FAULTS = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
NUMBER = re.compile("[0-9]{1,19}")
# how a key is shown where no header can be set
KEY_PARAMETER = "key"
STEPS = {ord(b"["): 1, ord(b"{"): 1, ord(b"]"): -1, ord(b"}"): -1}
NOT_MARKS = bytes(byte for byte in range(256) if byte not in {*STEPS, ord('"')})

One = TypeVar("One", bound=Record)


@dataclass(slots=True)
class Decoded:
    """The valid records of a body and what was wrong with the others, by their index."""

    records: list[Record] = field(default_factory=list)
    errors: list[dict[str, object]] = field(default_factory=list)


def decode_body(body: bytes, record: type[Record]) -> Decoded:
    """Decode one record or an array of them.

    Raises BodyTooLarge over 1,000 items, InvalidRecord where the body is no JSON, too deep, or holds nothing.
    """
    if is_too_deep(body):
        raise InvalidRecord(f"the body is nested too deeply: at most {MAX_NESTING} levels are read")
    try:
        return Decoded(_decode_whole(body, record))
    except FAULTS:
        return decode_items(body, record)


def decode_one(body: bytes, record: type[One]) -> One:
    """Decode one record. Raises InvalidRecord, also of an array: of more than one, which of them was done?"""
    if _is_batch(body):
        raise InvalidRecord("the body holds one record, not an array")
    decoded = decode_body(body, record)
    if decoded.errors:
        raise _invalid(decoded.errors[0])
    return cast(One, decoded.records[0])


def decode_query(query: MultiDict[str, str], record: type[One]) -> One:
    """Read what stands behind the `?` of an address, less the key. Raises InvalidRecord, which names a parameter."""
    values: dict[str, object] = {}
    for name, stated in query.lists():
        if name == KEY_PARAMETER:
            continue
        if name not in record.__struct_fields__:
            raise InvalidRecord(f"{name} is no parameter of this address: {', '.join(record.__struct_fields__)}", name)
        if len(stated) > 1:
            raise InvalidRecord(f"{name} is stated more than once", name)
        values[name] = int(stated[0]) if NUMBER.fullmatch(stated[0]) else stated[0]
    try:
        return msgspec.convert(values, record)
    except msgspec.ValidationError as error:
        raise _invalid(_verdict(error)) from None


def decode_items(body: bytes, record: type[Record]) -> Decoded:
    """Decode as `decode_body` does, item by item: slower, and it knows what is wrong with which. Raises the same."""
    items = _split(body)
    if not items:
        raise InvalidRecord("the body holds no record")
    if len(items) > MAX_ITEMS:
        raise BodyTooLarge(f"a batch has at most {MAX_ITEMS:,} records, this one has {len(items):,}")
    decoded = Decoded()
    for index, item in enumerate(items):
        try:
            decoded.records.append(_decoders(record).one.decode(item))
        except FAULTS as error:
            decoded.errors.append({"index": index, **_verdict(error)})
    return decoded


def _decode_whole(body: bytes, record: type[Record]) -> list[Record]:
    """Decode a body in which nothing is wrong, in one go. Raises one of FAULTS otherwise."""
    decoders = _decoders(record if NUL in body else without_nul_search(record))
    return decoders.many.decode(body) if _is_batch(body) else [decoders.one.decode(body)]


def is_too_deep(body: bytes) -> bool:
    """Tell whether a JSON text is nested deeper than a decoder may go."""
    # what opens few brackets cannot be deep: most bodies are not looked at twice
    return body.count(b"[") + body.count(b"{") > MAX_NESTING and nesting_of(body) > MAX_NESTING


def nesting_of(body: bytes) -> int:
    """Return how deep the brackets of a JSON text go, at least up to where it stops being JSON."""
    if b"\\" in body:
        body = body.replace(b"\\\\", b"").replace(b'\\"', b"")
    # a text leaves its two quotes and the brackets between them: most leave a pair of quotes, which says nothing
    marks = body.translate(None, NOT_MARKS).replace(b'""', b"")
    brackets = b"".join(marks.split(b'"')[::2])
    return max(accumulate(map(STEPS.__getitem__, brackets)), default=0)


def _is_batch(body: bytes) -> bool:
    return body.lstrip()[:1] == b"["


def _split(body: bytes) -> list[msgspec.Raw]:
    try:
        if _is_batch(body):
            return _RAW_LIST.decode(body)
        return [_RAW.decode(body)]
    except RecursionError:
        raise InvalidRecord("the body is nested too deeply") from None
    except FAULTS as error:
        items = _split_leniently(body)
        if items is None:
            raise InvalidRecord(f"the body is not valid JSON: {error}") from None
        return items


def _split_leniently(body: bytes) -> list[msgspec.Raw] | None:
    """Split what a strict reader refuses whole, so that one bad item does not take the others with it.

    Half a surrogate pair is the usual case: JavaScript cuts texts between the two. The items go on as they were, and
    bytes that are no UTF-8 as half a pair.
    """
    try:
        items = json.loads(body.decode(errors="surrogateescape"))
    except (ValueError, RecursionError):
        return None
    return [msgspec.Raw(json.dumps(item).encode()) for item in items] if isinstance(items, list) else None


def _invalid(verdict: Mapping[str, object]) -> InvalidRecord:
    field = verdict["field"]
    return InvalidRecord(str(verdict["error"]), None if field is None else str(field))


def _verdict(error: Exception) -> dict[str, str | None]:
    if isinstance(error, RecursionError):
        return {"field": None, "error": "the record is nested too deeply"}
    if not isinstance(error, msgspec.ValidationError):
        return {"field": None, "error": f"the record is not valid JSON: {error}"}
    found = PLACE.match(str(error))
    problem, place = (found["problem"], found["place"]) if found else (str(error), None)
    missing = MISSING_FIELD.search(problem)
    return {"field": missing["name"] if missing else place, "error": problem}


class _Decoders:
    """How one type of record is read, alone and in an array."""

    def __init__(self, record: type[Record]) -> None:
        # mypy takes no value for a type
        batch: Any = Annotated[list[record], Meta(min_length=1, max_length=MAX_ITEMS)]  # type: ignore[valid-type]
        self.one: msgspec.json.Decoder[Record] = msgspec.json.Decoder(record)
        self.many: msgspec.json.Decoder[list[Record]] = msgspec.json.Decoder(batch)


_decoders = cache(_Decoders)
_RAW = msgspec.json.Decoder(msgspec.Raw)
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
