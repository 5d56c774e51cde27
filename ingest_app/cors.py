"""What a browser is told of cross-origin requests: preflights, and who may read an answer. No request is refused here.

Whether a key may be used by a page is `access.py`'s to say, at the request itself. flask-cors is not used: it fixes its
origins when the app is made, and here they are those of keys that come and go while it runs.

Every answer under `/api/` may be read by the page that asked, refusals too: it says nothing that the page did not send,
and no cookie counts here (so `Access-Control-Allow-Credentials` is never sent). What is guarded is the preflight: it
shows no key yet, so it is answered yes where a working key could be used for the method from that origin. For PUT and
DELETE these are the server keys that name the origin, which is to say none, unless an operator wants it so.
"""

import re
from collections.abc import Collection

from flask import Flask, Response, request

from ingest_app import answers
from ingest_app.access import shown_key
from ingest_app.control import ControlWatch
from ingest_app.errors import NotReady
from ingest_app.keys import hash_key

# read by any page, and kept by caches, which must not keep one origin's answer for another
PUBLIC = frozenset({"/healthz", "/openapi.json", "/tracker.js"})
SCOPES = {"GET": {"server"}, "POST": {"write", "server"}, "PUT": {"server"}, "DELETE": {"server"}}
HEADERS = "authorization, content-type, content-encoding, idempotency-key"
# Chromium keeps a preflight's answer for no longer; a key's list is obeyed at once all the same, at the request itself
MAX_AGE_SECONDS = 7200
# what is sent back in a header must be fit for one
PRINTABLE = re.compile("[!-~]{1,300}")


def register_cors(app: Flask, control: ControlWatch) -> None:
    """Complete each answer by what its browser needs to know."""

    @app.after_request
    def _(response: Response) -> Response:
        environ = request.environ
        if environ["PATH_INFO"] in PUBLIC:
            response.headers["Access-Control-Allow-Origin"] = "*"
            return response
        origin: str | None = environ.get("HTTP_ORIGIN")
        if origin is None or not environ["PATH_INFO"].startswith("/api/") or not PRINTABLE.fullmatch(origin):
            return response
        if environ["REQUEST_METHOD"] == "OPTIONS":
            return _preflight(response, control, origin)
        return _readable(response, origin)


def _readable(response: Response, origin: str) -> Response:
    response.headers["Access-Control-Allow-Origin"] = origin
    response.headers["Access-Control-Expose-Headers"] = "Retry-After, Idempotency-Replayed"
    response.vary.add("Origin")
    return response


def _preflight(response: Response, control: ControlWatch, origin: str) -> Response:
    """Turn Flask's own answer to OPTIONS, which knows the methods of the address, into one to the browser."""
    if response.status_code != 200:
        return _readable(response, origin)
    methods = _methods(control, origin, response.allow)
    if not methods:
        message = f"no key here may be used by pages of {origin}: see `footfall keys create --origin`"
        return _readable(answers.refused(403, "origin_not_allowed", message), origin)
    response.status_code = 204
    response.headers["Access-Control-Allow-Methods"] = ", ".join(methods)
    response.headers["Access-Control-Allow-Headers"] = HEADERS
    response.headers["Access-Control-Max-Age"] = str(MAX_AGE_SECONDS)
    return _readable(response, origin)


def _methods(control: ControlWatch, origin: str, offered: Collection[str]) -> list[str]:
    """Name those of the offered methods that some working key, or the one that is shown, may use from this origin."""
    methods = sorted(method for method in offered if method in SCOPES)
    try:
        keys = control.current.keys
    except NotReady:
        # the request itself is then answered 503, which the page can read
        return methods
    shown = shown_key(request.environ)
    given = keys.get(hash_key(shown)) if shown else None
    # one that is unknown may come as far as to be told so
    asked = [given] if given else keys.values()
    scopes = {key.scope for key in asked if key.allows_origin(origin)}
    return [method for method in methods if scopes & SCOPES[method]]
