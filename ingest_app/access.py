"""Who may send what: the key of a request, its scope, the page it comes from, its rate.

What keys are is `keys.py`; how fresh they are, `control.py`; what a browser is told, `cors.py`. A key never stands in a
message: who reads a log or an error text must not be able to send with it.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

from flask import request

from ingest_app.control import ControlWatch
from ingest_app.errors import NotAllowed, NotAuthenticated, OriginNotAllowed
from ingest_app.keys import Key

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

# a browser's origin is shorter; what anybody else sends as one need not come back whole
LONGEST_SHOWN = 200


def require_key(control: ControlWatch, scopes: Collection[str]) -> Key:
    """Return the request's key. Raises NotAuthenticated, NotAllowed, OriginNotAllowed, TooManyRequests."""
    environ = request.environ
    shown = shown_key(environ)
    key = control.find_key(shown) if shown else None
    if key is None:
        raise NotAuthenticated("send a key that is not revoked: `Authorization: Bearer KEY` or `?key=KEY`")
    if key.scope not in scopes:
        raise NotAllowed(f"this needs a key of scope {' or '.join(scopes)}, this one has {key.scope}")
    origin = environ.get("HTTP_ORIGIN")
    if origin is not None and not key.allows_origin(origin):
        raise _origin_not_allowed(key, origin)
    control.rates.count(key)
    return key


def shown_key(environ: "WSGIEnvironment") -> str | None:
    """Return what the request shows as its key, in a header or, as a beacon can set none, in the address."""
    header: str = environ.get("HTTP_AUTHORIZATION", "")
    if header[:7].lower() == "bearer ":
        return header[7:].strip()
    return request.args.get("key")


def _origin_not_allowed(key: Key, origin: str) -> OriginNotAllowed:
    page = origin[:LONGEST_SHOWN]
    # whoever reads the page has the key: that is worth a word to the developer who put it there
    warning = "" if key.scope == "write" else f"a {key.scope} key does not belong in a browser; "
    return OriginNotAllowed(
        f"this key may not be used by pages of {page}: {warning}"
        f"use a write key for that origin (`footfall keys create --scope write --origin {page}`)"
    )
