"""A web log's lines as visits: what is read, what is kept, what is never kept. No database."""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall.importing.errors import FileUnreadable, NotAWebLog
from footfall.importing.event_ids import EventIds
from footfall.importing.log_line import UnreadableLine, parse
from footfall.importing.weblog import WebLog

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
GOOGLEBOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def a_line(
    ip: str = "203.0.113.7",
    time: str = "20/Feb/2016:00:00:45 -0500",
    request: str = "GET /docs/?page=2 HTTP/1.1",
    referrer: str = "https://search.example/?q=footfall",
    agent: str = FIREFOX,
) -> str:
    return f'{ip} - - [{time}] "{request}" 200 512 "{referrer}" "{agent}"'


def rows_of(folder: Path, lines: Sequence[str], secret: str = "s", app: str = "site") -> list[dict[str, Any]]:
    path = folder / "access.log"
    path.write_text("".join(line + "\n" for line in lines))
    return [row for batch in WebLog(path, app, secret).batches() for row in batch.rows]


def ids_of(folder: Path, lines: Sequence[str], secret: str = "s", app: str = "site") -> list[object]:
    return [row["event_id"] for row in rows_of(folder, lines, secret, app)]


def test_combined_line_is_read_in_full() -> None:
    line = parse(a_line())
    assert (line.ip, line.agent, line.method, line.path) == ("203.0.113.7", FIREFOX, "GET", "/docs/")
    assert (line.status, line.size_bytes, line.referrer_host) == (200, 512, "search.example")
    assert line.logged_at == datetime(2016, 2, 20, 5, 0, 45, tzinfo=UTC)


def test_common_line_has_no_agent_or_referrer() -> None:
    line = parse('host.example - frank [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 304 -')
    assert (line.agent, line.referrer_host, line.size_bytes) == (None, None, None)
    assert line.path == "/apache_pb.gif"


@pytest.mark.parametrize(
    ("request_line", "path"),
    [
        ("GET / HTTP/1.1", "/"),
        ("GET /a?token=secret HTTP/1.1", "/a"),
        ("GET /a%3Ftoken=secret HTTP/1.1", "/a"),
        ("GET /a#token=secret HTTP/1.1", "/a"),
        ("GET ?token=secret HTTP/1.1", "/"),
        ("GET http://user:secret@host.example/a/b?c HTTP/1.1", "/a/b"),
        ("GET http://host.example HTTP/1.1", "/"),
        ("OPTIONS * HTTP/1.0", "*"),
        ("GET /old-style", "/old-style"),
        ("GET /with blank HTTP/1.1", "/with blank"),
        (r"GET /a\"b\\c HTTP/1.1", r"/a\"b\\c"),
    ],
)
def test_path_is_kept_without_its_query(request_line: str, path: str) -> None:
    assert parse(a_line(request=request_line)).path == path


@pytest.mark.parametrize(
    "referrer", ["-", "", "/local", "http://192.0.2.1/x", "http://[2001:db8::1]/", "http://[", "x"]
)
def test_referrer_without_host_name_is_none(referrer: str) -> None:
    assert parse(a_line(referrer=referrer)).referrer_host is None


@pytest.mark.parametrize(
    "line",
    [
        "",
        "hello",
        '{"ip": "203.0.113.7"}',
        a_line(time="31/Feb/2016:00:00:45 -0500"),
        a_line(time="20/Fev/2016:00:00:45 -0500"),
        a_line(time="20/Feb/2016:00:00:45 +9900"),
        a_line(request=r"\x16\x03\x01"),
        a_line(request="-"),
        a_line()[:-3],
        a_line().replace(" 200 ", " OK "),
    ],
)
def test_line_of_another_shape_is_unreadable(line: str) -> None:
    with pytest.raises(UnreadableLine) as caught:
        parse(line)
    assert "203.0.113.7" not in str(caught.value)


@pytest.mark.timeout(2)
def test_hostile_line_costs_no_more_time() -> None:
    with pytest.raises(UnreadableLine):
        parse("a b c" + " [" * 30_000)


def test_visit_row_holds_what_the_issue_names(tmp_path: Path) -> None:
    (row,) = rows_of(tmp_path, [a_line(request=f"POST /{'x' * 200}?a=1 HTTP/1.1")])
    assert (row["event_type"], row["user_type"], row["app_name"]) == ("visit", "guest", "site")
    assert row["event_name"] == "/" + "x" * 99
    assert row["created_at"] == datetime(2016, 2, 20, 5, 0, 45, tzinfo=UTC)
    assert (row["os"], row["device_type"], row["is_bot"]) == ("Linux", "desktop", False)
    assert row["meta"] == {
        "method": "POST",
        "status": 200,
        "bytes": 512,
        "path": "/" + "x" * 200,
        "referrer_host": "search.example",
    }


def test_rows_hold_no_address_query_or_agent(tmp_path: Path) -> None:
    line = a_line(request="GET /a?token=hush HTTP/1.1", referrer="https://search.example/?q=hush")
    path = tmp_path / "access.log"
    path.write_text(line)
    (batch,) = WebLog(path, "site", "s").batches()
    held = json.dumps([batch.rows, batch.visitors], default=str)
    assert not [secret for secret in ("203.0.113.7", "hush", "Firefox", "q=") if secret in held]


def test_one_visitor_has_one_session_through_the_file(tmp_path: Path) -> None:
    lines = [a_line(), a_line(request="GET /b HTTP/1.1"), a_line(ip="203.0.113.8"), a_line(agent="Other/1.0")]
    sessions = [row["session_id"] for row in rows_of(tmp_path, lines)]
    assert sessions[0] == sessions[1]
    assert len(set(sessions)) == 3


def test_bots_are_marked_and_are_no_visitors(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(f"{a_line(agent=GOOGLEBOT)}\n{a_line()}\n")
    (batch,) = WebLog(path, "site", "s").batches()
    assert [row["is_bot"] for row in batch.rows] == [True, False]
    assert batch.bot_count == 1
    assert [visitor["session_id"] for visitor in batch.visitors] == [batch.rows[1]["session_id"]]


def test_equal_lines_are_events_of_their_own(tmp_path: Path) -> None:
    assert len(set(ids_of(tmp_path, [a_line()] * 3))) == 3


def test_same_file_gives_the_same_ids(tmp_path: Path) -> None:
    lines = [a_line(), a_line(ip="203.0.113.8"), a_line()]
    assert ids_of(tmp_path, lines) == ids_of(tmp_path, lines)


def test_overlapping_files_share_the_ids_of_their_overlap(tmp_path: Path) -> None:
    lines = [a_line(time=f"20/Feb/2016:00:00:{second:02} -0500") for second in (1, 2, 2, 3, 3, 4)]
    first, second = ids_of(tmp_path, lines[:5]), ids_of(tmp_path, lines[1:])
    assert first[1:] == second[:-1]


def test_ids_differ_by_app_and_by_secret(tmp_path: Path) -> None:
    lines = [a_line()]
    found = [ids_of(tmp_path, lines), ids_of(tmp_path, lines, app="other"), ids_of(tmp_path, lines, secret="t")]
    assert len({str(ids) for ids in found}) == 3


@given(st.lists(st.sampled_from("abc"), max_size=40))
def test_ids_depend_on_content_and_count_alone(contents: list[str]) -> None:
    one, other = EventIds(), EventIds()
    ids = [one.id_of(content.encode()) for content in contents]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {other.id_of(content.encode()) for content in sorted(contents)}


def test_remembered_events_are_bounded_but_near_ones_kept() -> None:
    ids = EventIds(forget_after=10)
    first = ids.id_of(b"again")
    for n in range(9):
        ids.id_of(str(n).encode())
    assert ids.id_of(b"again") != first
    for n in range(100, 130):
        ids.id_of(str(n).encode())
    assert ids.id_of(b"again") == first


def test_unreadable_lines_are_counted_with_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(f"{a_line()}\n\nnonsense\n{a_line(request='-')}\n{a_line()}\n")
    (batch,) = WebLog(path, "site", "s").batches()
    assert (batch.read_count, len(batch.rows)) == (4, 2)
    assert [fault.partition(":")[0] for fault in batch.faults] == ["line 3", "line 4"]


def test_bytes_that_are_no_text_do_not_stop(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(a_line(request="GET /\xff\x00 HTTP/1.1").encode("latin-1") + b"\r\n")
    (batch,) = WebLog(path, "site", "s").batches()
    assert batch.rows[0]["event_name"] == "/\ufffd\ufffd"


def test_gzip_is_told_by_its_first_bytes(tmp_path: Path) -> None:
    path = tmp_path / "access.log.1"
    path.write_bytes(gzip.compress(f"{a_line()}\n".encode()))
    assert sum(len(batch.rows) for batch in WebLog(path, "site", "s").batches()) == 1


def test_empty_log_is_a_log_without_lines(tmp_path: Path) -> None:
    assert rows_of(tmp_path, []) == []


@pytest.mark.parametrize(
    "content",
    [b"id,name\n1,a\n", b"\x89PNG\r\n" + bytes(range(256)) * 2_000, f"{a_line()}\n".encode() + b"no\n" * 99],
)
def test_other_files_are_no_web_log(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "access.log"
    path.write_bytes(content)
    with pytest.raises(NotAWebLog):
        list(WebLog(path, "site", "s").batches())


def test_file_of_nonsense_is_left_after_a_first_look(tmp_path: Path) -> None:
    with pytest.raises(NotAWebLog, match="2,000 of its first 2,000 lines"):
        rows_of(tmp_path, ["nonsense"] * 100_000)


@pytest.mark.parametrize("kept", [5, 12, 60])
def test_gzip_cut_short_is_refused(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "access.log.gz"
    path.write_bytes(gzip.compress("".join(f"{a_line(ip=str(n))}\n" for n in range(99)).encode())[:kept])
    with pytest.raises(FileUnreadable, match="cut off"):
        list(WebLog(path, "site", "s").batches())
