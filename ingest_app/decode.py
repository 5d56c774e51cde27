"""From a request's bytes to records: each item gets its own verdict. No database, no HTTP answer."""

import re
from dataclasses import dataclass, field
from functools import cache

import msgspec

from ingest_app.errors import BodyTooLarge, InvalidRecord
from ingest_app.records import Record

MAX_BODY_BYTES = 1024 * 1024
MAX_ITEMS = 1_000

# msgspec ends a message with the place: "… - at `$.meta[...]`"; a missing field it names in the text
PLACE = re.compile(r"^(?P<problem>.*?)(?: - at `\$\.(?P<place>[^`]*)`)?$", re.DOTALL)
MISSING_FIELD = re.compile(r"missing required field `(?P<name>[^`]+)`")


@dataclass(slots=True)
class Decoded:
    """The valid records of a body and what was wrong with the others, by their index."""

    records: list[Record] = field(default_factory=list)
    errors: list[dict[str, object]] = field(default_factory=list)


def decode_body(body: bytes, record: type[Record]) -> Decoded:
    """Decode one record or an array of them.

    Raises BodyTooLarge over 1 MiB or 1,000 items, InvalidRecord where the body is no JSON or holds nothing.
    """
    if len(body) > MAX_BODY_BYTES:
        raise BodyTooLarge(f"a body has at most {MAX_BODY_BYTES:,} bytes")
    items = _split(body)
    if not items:
        raise InvalidRecord("the body holds no record")
    if len(items) > MAX_ITEMS:
        raise BodyTooLarge(f"a batch has at most {MAX_ITEMS:,} records, this one has {len(items):,}")
    decoded = Decoded()
    for index, item in enumerate(items):
        try:
            decoded.records.append(_decoder(record).decode(item))
        except (msgspec.MsgspecError, RecursionError) as error:
            decoded.errors.append({"index": index, **_verdict(error)})
    return decoded


def _split(body: bytes) -> list[msgspec.Raw]:
    try:
        if body.lstrip()[:1] == b"[":
            return _RAW_LIST.decode(body)
        return [_RAW.decode(body)]
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidRecord(f"the body is not valid JSON: {error}") from None


def _verdict(error: Exception) -> dict[str, str | None]:
    if isinstance(error, RecursionError):
        return {"field": None, "error": "the record is nested too deeply"}
    found = PLACE.match(str(error))
    problem, place = (found["problem"], found["place"]) if found else (str(error), None)
    missing = MISSING_FIELD.search(problem)
    return {"field": missing["name"] if missing else place, "error": problem}


@cache
def _decoder(record: type[Record]) -> msgspec.json.Decoder[Record]:
    return msgspec.json.Decoder(record)


_RAW = msgspec.json.Decoder(msgspec.Raw)
_RAW_LIST = msgspec.json.Decoder(list[msgspec.Raw])
