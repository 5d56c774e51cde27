"""Who may send what: the key of a request, its scope. What keys are is `keys.py`; how fresh they are, `control.py`."""

from collections.abc import Collection

from flask import request

from ingest_app.control import ControlWatch
from ingest_app.errors import NotAllowed, NotAuthenticated
from ingest_app.keys import Key


def require_key(control: ControlWatch, scopes: Collection[str]) -> Key:
    """Return the request's key. Raises NotAuthenticated, NotAllowed."""
    shown = request.authorization.token if request.authorization else request.args.get("key")
    key = control.find_key(shown) if shown else None
    if key is None:
        raise NotAuthenticated("send a key that is not revoked: `Authorization: Bearer KEY` or `?key=KEY`")
    if key.scope not in scopes:
        raise NotAllowed(f"this needs a key of scope {' or '.join(scopes)}, this one has {key.scope}")
    return key
