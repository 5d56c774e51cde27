"""Bodies as clients really send them: packed, in chunks, cut off, mislabelled; Flask's client and a real server."""

import gzip
import json
import socket
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

import pytest

from ingest_app.body import MAX_BODY_BYTES, MAX_MEMBERS, unpack_gzip
from ingest_app.database import make_engine
from ingest_app.errors import BodyTooLarge
from ingest_app.keys import create_key
from tests.integration.conftest import Api
from tests.integration.node import PATIENCE_SECONDS, running_node

AN_EVENT = {"user_type": "student", "app_name": "DViz", "event_type": "button", "event_name": "press"}
EVENT = json.dumps(AN_EVENT).encode()


def packed(body: bytes) -> bytes:
    """Without the time of packing, which would give a test another name in each process."""
    return gzip.compress(body, mtime=0)


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        (packed(EVENT), 202, ""),
        (packed(b"[" + EVENT) + packed(b"," + EVENT + b"]"), 202, ""),
        (b"", 400, "ends too early"),
        (packed(b""), 400, "not valid JSON"),
        (packed(EVENT)[:-5], 400, "ends too early"),
        (packed(EVENT)[:-8] + b"\0" * 8, 400, "incorrect data check"),
        (packed(EVENT) + b"more", 400, "not valid gzip"),
        (EVENT, 400, "not valid gzip"),
        (packed(b"") * 50_000, 400, f"{MAX_MEMBERS} gzip members"),
        (packed(EVENT + b" " * (MAX_BODY_BYTES - len(EVENT))), 202, ""),
        (packed(EVENT + b" " * (MAX_BODY_BYTES - len(EVENT) + 1)), 413, "also unpacked"),
        (packed(EVENT) + packed(b" " * MAX_BODY_BYTES), 413, "also unpacked"),
    ],
)
def test_packed_body_is_read_or_refused(api: Api, body: bytes, status: int, says: str) -> None:
    response = api.send("/api/events", body, **{"Content-Encoding": "gzip"})
    assert response.status_code == status
    assert says in response.text


def test_bomb_is_refused_in_bounded_memory() -> None:
    bomb = packed(b" " * 500 * MAX_BODY_BYTES)
    assert len(bomb) < MAX_BODY_BYTES
    tracemalloc.start()
    with pytest.raises(BodyTooLarge):
        unpack_gzip(bomb)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 4 * MAX_BODY_BYTES


@pytest.mark.parametrize(
    ("headers", "status", "says"),
    [
        ({"Content-Type": "application/json; charset=UTF-8"}, 202, ""),
        ({"Content-Type": "application/vnd.footfall+json"}, 202, ""),
        ({"Content-Type": "text/plain;charset=UTF-8"}, 202, ""),
        ({"Content-Type": ""}, 202, ""),
        ({"Content-Encoding": "identity"}, 202, ""),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, "`Content-Type: application/json`"),
        ({"Content-Type": "multipart/form-data; boundary=x"}, 415, "`Content-Type: application/json`"),
        ({"Content-Type": "application/json; charset=latin-1"}, 415, "send JSON in UTF-8"),
        ({"Content-Type": "\xff\xfe;;="}, 415, "`Content-Type: application/json`"),
        ({"Content-Encoding": "br"}, 415, "send gzip"),
        ({"Content-Encoding": "gzip, gzip"}, 415, "send gzip"),
    ],
)
def test_type_and_encoding_decide_what_is_read(api: Api, headers: dict[str, str], status: int, says: str) -> None:
    response = api.send("/api/events", EVENT, **headers)
    assert response.status_code == status
    assert says in response.text


def test_byte_order_mark_is_no_part_of_the_json(api: Api) -> None:
    assert api.send("/api/events", b"\xef\xbb\xbf" + EVENT).status_code == 202


@dataclass(frozen=True)
class Served:
    """A real ingest server, spoken to byte by byte."""

    port: int
    key: str

    def send(self, head: str, body: bytes, is_cut: bool = False) -> tuple[int, str]:
        """Post `body` with the header lines `head`; `is_cut` ends the connection's way there. Return the answer."""
        lines = (f"POST /api/events?key={self.key} HTTP/1.1", "Host: x", head, "", "")
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS) as connection:
            connection.sendall("\r\n".join(lines).encode() + body)
            if is_cut:
                connection.shutdown(socket.SHUT_WR)
            answer = HTTPResponse(connection)
            answer.begin()
            return answer.status, answer.read().decode()


@pytest.fixture
def served(database_url: str, tmp_path: Path) -> Iterator[Served]:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        key = create_key(connection, "write")
    engine.dispose()
    with running_node(database_url, tmp_path) as node:
        yield Served(int(node.url.rpartition(":")[2]), key)


def in_chunks(body: bytes, size: int) -> bytes:
    parts = (body[start : start + size] for start in range(0, len(body), size))
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_body_in_chunks_is_read_whole_or_refused(served: Served) -> None:
    chunked = "Transfer-Encoding: chunked"
    assert served.send(chunked, in_chunks(EVENT, 7))[0] == 202
    assert served.send(f"{chunked}\r\nContent-Encoding: gzip", in_chunks(packed(EVENT), 7))[0] == 202
    assert served.send(chunked, in_chunks(EVENT + b" " * (MAX_BODY_BYTES - len(EVENT)), 60_000))[0] == 202
    too_large = EVENT + b" " * (MAX_BODY_BYTES - len(EVENT) + 1)
    assert served.send(chunked, in_chunks(too_large, 60_000))[0] == 413
    # a body of JSON shows by itself that it was cut: no chunk of an event is an event
    assert served.send(chunked, in_chunks(EVENT, 7)[:-20], is_cut=True)[0] == 400


def test_less_than_announced_is_not_accepted(served: Served) -> None:
    status, answer = served.send(f"Content-Length: {len(EVENT) + 1}", EVENT, is_cut=True)
    assert status == 400
    assert f"ended after {len(EVENT)} of {len(EVENT) + 1} bytes" in answer
    assert served.send(f"Content-Length: {MAX_BODY_BYTES + 1}", b" " * (MAX_BODY_BYTES + 1))[0] == 413
    # one that keeps its connection open and sends no more holds up nobody else
    with socket.create_connection(("127.0.0.1", served.port)) as slow:
        slow.sendall(f"POST /api/events?key={served.key} HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\n{{".encode())
        assert [served.send(f"Content-Length: {len(EVENT)}", EVENT)[0] for _ in range(20)] == [202] * 20
