"""From a request to the bytes of its JSON: size and encoding. What the bytes say is `decode.py`."""

from flask import request

MAX_BODY_BYTES = 1024 * 1024


def read_body() -> bytes:
    """Return the body whole, at most MAX_BODY_BYTES."""
    return request.get_data(cache=False)
