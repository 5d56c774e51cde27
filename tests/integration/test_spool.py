"""The worker's side of the spool: what an append promises, and what is left when it breaks off. No Postgres.

What it does on a disk that is full or fails is in test_spool_disk.py.
"""

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest_app.errors import SpoolFailed
from ingest_app.spool import Spool
from ingest_app.spool.files import Part, read_end, spools_in, take_lock
from ingest_app.spool.reader import SpoolReader, note_drained, read_backlog
from ingest_app.spool.writer import Limits
from tests.integration.spools import a_part, a_spool, entry_sizes, read_parts, run_python

VALUES = st.dictionaries(st.text(max_size=5), st.text(max_size=20) | st.integers(), max_size=3)
PARTS = st.builds(
    lambda kind, rows: a_part(*rows, kind=kind),
    st.sampled_from(["events", "sessions/heartbeat"]),
    st.lists(VALUES, min_size=1, max_size=4),
)


@settings(max_examples=20, deadline=None)
@given(by_thread=st.lists(st.lists(PARTS, min_size=1, max_size=6), min_size=1, max_size=4))
def test_every_part_is_read_back_once_in_order(by_thread: list[list[Part]]) -> None:
    marked = [
        [Part(f"{number}:{part.kind}", part.count, part.rows) for part in parts] for number, parts in _e(by_thread)
    ]
    with TemporaryDirectory() as name, closing(Spool(Path(name), 0)) as spool:
        _in_threads([partial(_append_all, spool, parts) for parts in marked])
        [path] = spools_in(Path(name))
        found = read_parts(path)
        assert [[part for part in found if part.kind.startswith(f"{number}:")] for number, _ in _e(marked)] == marked
        assert len(found) == sum(map(len, marked))


def test_append_returns_once_others_see_it(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, 0)) as spool:
        spool.append(a_part("first"))
        [path] = spools_in(tmp_path)
        with run_python(ASK_FOR_END, path) as other:
            assert other.stdin
            assert other.stdout
            for number in range(2, 12):
                spool.append(a_part(number))
                other.stdin.write("?\n")
                other.stdin.flush()
                assert other.stdout.readline() == f"{number}\n"
            other.stdin.close()


def test_requests_that_gather_share_a_commit(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, 0)) as spool:
        _in_threads([partial(_append_all, spool, [a_part(1)] * 10)] * 16)
        [path] = spools_in(tmp_path)
        sizes = entry_sizes(path)
    assert sum(sizes) == 160
    assert len(sizes) < 160


def test_group_larger_than_an_entry_is_split(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, 0, Limits(entry_records=5))) as spool:
        _in_threads([partial(_append_all, spool, [a_part(1, 2)] * 10)] * 16)
        # a request is never split
        spool.append(a_part(*range(7)))
        [path] = spools_in(tmp_path)
        sizes = entry_sizes(path)
    assert sum(sizes) == 320 + 7
    assert set(sizes[:-1]) <= {2, 4}


@pytest.mark.parametrize("limits", [Limits(file_bytes=10), Limits(file_seconds=0)], ids=["large", "old"])
def test_large_or_old_file_is_left_for_a_new_one(tmp_path: Path, limits: Limits) -> None:
    with closing(Spool(tmp_path, 0, limits)) as spool:
        for text in ("first", "second", "third"):
            spool.append(a_part(text + "." * 20))
        left = [_is_left(path) for path in spools_in(tmp_path)]
        assert sorted(left) == [False, True, True]
        assert [read_end(path).is_final for path in spools_in(tmp_path)] == left
        spool.retire_old_file()
        assert all(_is_left(path) for path in spools_in(tmp_path))


def test_worker_killed_in_the_middle_left_all_it_promised(tmp_path: Path) -> None:
    with run_python(APPEND_FOREVER, tmp_path) as worker:
        assert worker.stdout
        promised = {int(worker.stdout.readline()) for _ in range(200)}
        worker.kill()
        promised |= {int(line) for line in worker.stdout if line.endswith("\n")}
    [path] = spools_in(tmp_path)
    assert _is_left(path)
    found = [msgspec.json.decode(part.rows)[0] for part in read_parts(path)]
    assert len(found) == len(set(found))
    assert promised <= set(found)
    # and no more than was under way in its threads
    assert len(found) <= len(promised) + 4
    with closing(SpoolReader(path)) as reader:
        reader.require_whole()


@pytest.mark.parametrize("broken", [Part("events", 1, None), Part(None, 1, b"[]")])  # type: ignore[arg-type]
def test_leader_that_fails_unforeseen_holds_nobody_up(tmp_path: Path, broken: Part) -> None:
    with closing(Spool(tmp_path, 0)) as spool:
        answers = _in_threads([lambda: _try_append(spool, broken), lambda: _try_append(spool, a_part("x"))] * 20)
        assert {"accepted"} < set(answers)
        assert answers.count("accepted") <= 20
        spool.append(a_part("after"))
    found = [part.rows for path in spools_in(tmp_path) for part in read_parts(path)]
    assert sorted(found) == [b'["after"]', *[b'["x"]'] * answers.count("accepted")]


def test_close_under_load_breaks_no_promise(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, 0)) as spool:
        _in_threads([partial(_close_often, spool), *[partial(_append_all, spool, [a_part("x")] * 50)] * 4])
    assert sum(len(read_parts(path)) for path in spools_in(tmp_path)) == 200


def test_backlog_is_known_without_postgres(tmp_path: Path) -> None:
    assert read_backlog(tmp_path).record_count == 0
    first = a_spool(tmp_path, a_part(1, 2), a_part(3))
    second = a_spool(tmp_path, a_part(4))
    assert read_backlog(tmp_path).record_count == 4
    assert 0 < read_backlog(tmp_path).oldest_seconds < 60
    note_drained(tmp_path, {first.stem: 2})
    assert read_backlog(tmp_path).record_count == 2
    second.write_bytes(b"garbage" * 1000)
    assert (read_backlog(tmp_path).record_count, read_backlog(tmp_path).damaged_file_count) == (1, 1)


def test_lock_that_is_removed_again_and_again_has_one_holder(tmp_path: Path) -> None:
    path, holding = tmp_path / "a.lock", threading.Lock()

    def take_and_remove() -> int:
        taken = 0
        for _ in range(1_000):
            descriptor = take_lock(path)
            if descriptor is not None:
                assert holding.acquire(blocking=False), "two hold it at once"
                os.sched_yield()
                holding.release()
                path.unlink()
                os.close(descriptor)
                taken += 1
        return taken

    assert any(_in_threads([take_and_remove] * 4))


def _e(items: Sequence[list[Part]]) -> list[tuple[int, list[Part]]]:
    return list(enumerate(items))


def _in_threads(works: Sequence[Callable[[], object]]) -> list[object]:
    """Start all at once; return their results, raise what one raised."""
    gate = threading.Barrier(len(works))

    def run(work: Callable[[], object]) -> object:
        gate.wait()
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


def _append_all(spool: Spool, parts: Sequence[Part]) -> None:
    for part in parts:
        spool.append(part)


def _close_often(spool: Spool) -> None:
    for _ in range(2_000):
        spool.close()


def _try_append(spool: Spool, part: Part) -> str:
    try:
        spool.append(part)
    except (SpoolFailed, TypeError, AttributeError):
        return "refused"
    return "accepted"


def _is_left(path: Path) -> bool:
    with closing(SpoolReader(path)) as reader:
        return reader.is_left()


ASK_FOR_END = """
import sys
from pathlib import Path
from ingest_app.spool.reader import SpoolReader
reader = SpoolReader(Path(sys.argv[1]))
for _ in sys.stdin:
    print(reader.last_seq(), flush=True)
"""

APPEND_FOREVER = """
import itertools, sys, threading
from pathlib import Path
from ingest_app.spool import Spool
from tests.integration.spools import a_part
spool, numbers = Spool(Path(sys.argv[1]), 0), itertools.count()
def work():
    for number in numbers:
        spool.append(a_part(number))
        sys.stdout.write(f"{number}\\n")
for _ in range(4):
    threading.Thread(target=work).start()
"""
