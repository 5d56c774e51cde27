"""The published file as the read side has it open: missing, swapped, damaged, while it is read."""

import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from admin_app.published import NOTHING_PUBLISHED, Published, PublishedFile
from tests.integration.admin.conftest import LOADED_AT, publish_file
from tests.integration.controlling import wait_until

NUMBERS = {"rpt_demo": "SELECT range AS n, hash(range) AS h FROM range(500_000)"}
COUNT = "SELECT count(*), max(n) FROM marts.rpt_demo"


@pytest.fixture(autouse=True)
def _without_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """These files have no marts for the stats."""
    monkeypatch.setattr("admin_app.published.read_history", lambda _: None)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "warehouse" / "an analyst's.duckdb"


@pytest.fixture
def published(path: Path) -> Iterator[Published]:
    publish_file(path, NUMBERS)
    watch = Published(path)
    yield watch
    watch.close()


def test_file_says_what_it_is_as_of(published: Published) -> None:
    file = _current(published)
    assert (file.loaded_at, file.refreshed_at, published.fault) == (LOADED_AT, LOADED_AT, None)
    table = file.rows("SELECT n, n * 2 AS twice FROM marts.rpt_demo WHERE n < $most ORDER BY n", {"most": 2})
    assert (table.columns, table.rows) == (("n", "twice"), [(0, 0), (1, 2)])


def test_swapped_file_is_seen_and_never_mixed_with_the_old(published: Published, path: Path) -> None:
    old = _current(published)
    publish_file(path, {"rpt_demo": "SELECT 1 AS n"}, LOADED_AT + timedelta(minutes=5))
    wait_until(lambda: published.current is not old, "the new file")
    assert _current(published).rows(COUNT).rows == [(1, 1)]
    assert _current(published).loaded_at == LOADED_AT + timedelta(minutes=5)
    assert old.rows(COUNT).rows == [(500_000, 499_999)], "who has begun with the old one ends with it"


def test_what_every_page_asks_is_read_once_for_each_file(
    published: Published, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = _current(published)
    found = old.rows_once(COUNT)
    with monkeypatch.context() as without_queries:
        without_queries.setattr(PublishedFile, "rows", None)
        assert old.rows_once(COUNT) is found
    publish_file(path, {"rpt_demo": "SELECT 1 AS n"}, LOADED_AT + timedelta(minutes=5))
    wait_until(lambda: published.current is not old, "the new file")
    assert _current(published).rows_once(COUNT).rows == [(1, 1)]


def test_readers_go_on_while_files_are_swapped(published: Published, path: Path) -> None:
    answers: list[object] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            file = _current(published)
            answers.append((file.loaded_at, *file.rows("SELECT count(*), min(n), max(n) FROM marts.rpt_demo").rows[0]))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    told = {(LOADED_AT, 500_000, 0, 499_999)}
    for minutes in range(1, 6):
        at = LOADED_AT + timedelta(minutes=minutes)
        publish_file(path, {"rpt_demo": f"SELECT {minutes} + range AS n FROM range(1000)"}, at)
        told.add((at, 1_000, minutes, minutes + 999))
        published.await_look()
        seen = len(answers)
        wait_until(lambda seen=seen: len(answers) > seen + 4, "a few answers")  # type: ignore[misc]
    done.set()
    for reader in readers:
        reader.join()
    assert set(answers) == told


def test_old_files_are_let_go(published: Published, path: Path) -> None:
    for minutes in range(3):
        publish_file(path, {"rpt_demo": "SELECT 1 AS n"}, LOADED_AT + timedelta(minutes=minutes))
        published.await_look()
        _current(published).rows(COUNT)
    held = [os.readlink(entry) for entry in Path("/proc/self/fd").iterdir() if entry.exists() or entry.is_symlink()]
    assert [name for name in held if name.startswith(str(path)) and name.endswith("(deleted)")] == []


def test_missing_file_is_said_and_found_once_it_is_there(path: Path) -> None:
    watch = Published(path)
    try:
        assert (watch.current, watch.fault) == (None, NOTHING_PUBLISHED)
        publish_file(path, NUMBERS)
        watch.await_look()
        assert watch.current
        assert watch.fault is None
        path.unlink()
        watch.await_look()
        assert watch.current is None
        assert watch.fault == NOTHING_PUBLISHED
    finally:
        watch.close()


@pytest.mark.parametrize("content", [b"", b"no database", b"\x00" * 20_000])
def test_unreadable_file_leaves_the_one_before(published: Published, path: Path, content: bytes) -> None:
    old = _current(published)
    other = path.with_name("other")
    other.write_bytes(content)
    other.replace(path)
    published.await_look()
    assert published.fault and published.fault.startswith("it cannot be read: ")
    assert published.current is old
    assert old.rows(COUNT).rows == [(500_000, 499_999)]
    publish_file(path, {"rpt_demo": "SELECT 1 AS n"})
    published.await_look()
    assert _current(published).rows(COUNT).rows == [(1, 1)]


@pytest.mark.parametrize("refresh", ["DROP TABLE meta.refresh", "DELETE FROM meta.refresh", "DROP SCHEMA meta CASCADE"])
def test_database_of_another_kind_is_unreadable(path: Path, refresh: str) -> None:
    publish_file(path, NUMBERS)
    with duckdb.connect(str(path)) as connection:
        connection.execute(refresh)
    watch = Published(path)
    try:
        assert watch.current is None
        assert watch.fault and watch.fault.startswith("it cannot be read: ")
    finally:
        watch.close()


def test_file_damaged_where_it_lies_is_opened_anew(published: Published, path: Path) -> None:
    broken = _current(published)
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(12_288)
        file.write(os.urandom(before.st_size - 12_288))
    # as a failing disk does: without a word
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(duckdb.Error):
        broken.rows("SELECT min(h) FROM marts.rpt_demo WHERE h % 2 = 1")
    published.await_look()
    assert published.current is not broken
    publish_file(path, NUMBERS)
    published.await_look()
    assert _current(published).rows(COUNT).rows == [(500_000, 499_999)]


@pytest.mark.parametrize(
    "sql",
    [
        "ATTACH '{path}.other'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "COPY (SELECT 1) TO '{path}.csv'",
        "SET enable_external_access = true",
        "CREATE TABLE marts.more AS SELECT 1",
        "DELETE FROM marts.rpt_demo",
    ],
)
def test_open_file_reaches_nothing_else(published: Published, path: Path, sql: str) -> None:
    with pytest.raises(duckdb.Error):
        _current(published).rows(sql.format(path=path))
    assert _current(published).rows(COUNT).rows == [(500_000, 499_999)]


def _current(published: Published) -> PublishedFile:
    file = published.current
    assert file is not None
    return file
