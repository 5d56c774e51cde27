"""From a request to the bytes of its JSON: media type, encoding and size. What the bytes say is `decode.py`."""

import zlib
from functools import lru_cache

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.http import parse_options_header

from ingest_app.errors import BodyTooLarge, RequestRefused

MAX_BODY_BYTES = 1024 * 1024
# text/plain is what a browser's sendBeacon can send across origins without asking first
MEDIA_TYPES = ("application/json", "text/plain")
CHARSETS = ("utf-8", "utf8", "us-ascii")
ENCODINGS = ("gzip", "x-gzip")
# zlib's word for: gzip with its header and check sum, nothing else
GZIP_ONLY = 31
# a client sends one; ten thousand empty ones would cost a second and bring nothing
MAX_MEMBERS = 16
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def read_body() -> bytes:
    """Return the body whole and unpacked, at most MAX_BODY_BYTES.

    Raises BodyTooLarge, UnsupportedMediaType, or RequestRefused where less came than was announced.
    """
    environ = request.environ
    _require_media_type(environ.get("CONTENT_TYPE", ""))
    is_packed = _is_packed(environ.get("HTTP_CONTENT_ENCODING", ""))
    sent = _read_sent(request.content_length)
    return (unpack_gzip(sent) if is_packed else sent).removeprefix(BYTE_ORDER_MARK)


def unpack_gzip(packed: bytes) -> bytes:
    """Unpack a body of a few gzip members; never more than MAX_BODY_BYTES and one are unpacked, whatever it holds.

    Raises BodyTooLarge, RequestRefused.
    """
    body, rest = b"", packed
    for _ in range(MAX_MEMBERS):
        member = zlib.decompressobj(wbits=GZIP_ONLY)
        try:
            body += member.decompress(rest, MAX_BODY_BYTES + 1 - len(body))
        except zlib.error as error:
            raise RequestRefused(f"the body is not valid gzip: {error}") from None
        if len(body) > MAX_BODY_BYTES:
            raise _too_large()
        if not member.eof:
            raise RequestRefused("the body is not valid gzip: it ends too early")
        rest = member.unused_data
        if not rest:
            return body
    raise RequestRefused(f"the body is not taken: it has more than {MAX_MEMBERS} gzip members, send it as one")


def _read_sent(length: int | None) -> bytes:
    if length is None:
        return _read_chunks()
    if length > MAX_BODY_BYTES:
        raise _too_large()
    stream = request.environ["wsgi.input"]
    sent: bytes = stream.read(length)
    while len(sent) < length and (more := stream.read(length - len(sent))):
        sent += more
    # the stream ends with the connection, too: what a client broke off must not count as sent
    if len(sent) < length:
        raise RequestRefused(f"the body ended after {len(sent):,} of {length:,} bytes: send it again")
    return sent


def _read_chunks() -> bytes:
    """Read a body that announces no length: whether it is whole shows by its JSON or its gzip, or it is refused."""
    # one more than is taken, for at the limit the stream just ends
    request.max_content_length = MAX_BODY_BYTES + 1
    try:
        sent = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise _too_large() from None
    if len(sent) > MAX_BODY_BYTES:
        raise _too_large()
    return sent


# browsers and libraries send a handful of types, and each of them with every request
@lru_cache(maxsize=100)
def _require_media_type(content_type: str) -> None:
    found, parameters = parse_options_header(content_type.lower())
    if found and found not in MEDIA_TYPES and not found.endswith("+json"):
        raise UnsupportedMediaType(
            f"a body of type {found} is not read: send JSON with `Content-Type: application/json` (curl -d says "
            "application/x-www-form-urlencoded unless told otherwise), or text/plain where the type cannot be set"
        )
    charset = parameters.get("charset", "utf-8")
    if charset not in CHARSETS:
        raise UnsupportedMediaType(f"text in {charset} is not read: send JSON in UTF-8")


def _is_packed(content_encoding: str) -> bool:
    """Tell whether the body is packed with gzip."""
    encoding = content_encoding.strip().lower()
    if encoding not in {"", "identity", *ENCODINGS}:
        raise UnsupportedMediaType(f"a body encoded with {encoding} is not read: send gzip, or leave it as it is")
    return encoding in ENCODINGS


def _too_large() -> BodyTooLarge:
    return BodyTooLarge(f"a body has at most {MAX_BODY_BYTES:,} bytes, also unpacked: send less at a time")
