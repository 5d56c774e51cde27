"""Spools that were cut or overwritten: what can be read arrives, the file is kept and counted, the others go on."""

import os
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from ingest_app.database import make_engine
from ingest_app.drain.drainer import Drainer
from ingest_app.spool.files import Part, lock_path, spools_in, take_lock
from ingest_app.spool.reader import read_backlog
from ingest_app.spool.writer import Spool
from tests.integration.controlling import wait_until
from tests.integration.spools import a_part, a_spool, an_event, run_python

ENTRIES, PER_ENTRY = 40, 10

# a worker that is killed leaves its log beside the file
KILLED = """
import os, signal, sys
from pathlib import Path
from ingest_app.spool import Spool
from tests.integration.spools import a_part, an_event
spool = Spool(Path(sys.argv[1]), 0)
for _ in range(int(sys.argv[2])):
    spool.append(a_part(*(an_event() for _ in range(int(sys.argv[3])))))
os.kill(os.getpid(), signal.SIGKILL)
"""

# an entry for each line, with this text as its events' app; gone when there are no more lines
LIVING = """
import sys
from pathlib import Path
from ingest_app.spool import Spool
from tests.integration.spools import a_part, an_event
spool = Spool(Path(sys.argv[1]), 0)
for line in sys.stdin:
    spool.append(a_part(*(an_event(app_name=line.strip()) for _ in range(int(sys.argv[2])))))
    print("appended", flush=True)
spool.close()
"""


def a_closed_spool(folder: Path) -> Path:
    return a_spool(folder, *(a_part(*(an_event() for _ in range(PER_ENTRY))) for _ in range(ENTRIES)))


def a_killed_spool(folder: Path) -> Path:
    run_python(KILLED, folder, ENTRIES, PER_ENTRY).communicate(timeout=60)
    [path] = spools_in(folder)
    assert Path(f"{path}-wal").stat().st_size > 0
    return path


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def cut_log(path: Path) -> None:
    cut(Path(f"{path}-wal"))


def lose_log(path: Path) -> None:
    Path(f"{path}-wal").unlink()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def fill_with_garbage(path: Path) -> None:
    path.write_bytes(b"\x5a\xa5garbage" * (path.stat().st_size // 9))


def overwrite_pages(path: Path) -> None:
    overwrite(path, 3 * 4096)


def overwrite_letters(path: Path) -> None:
    overwrite(path, 64)


def overwrite(path: Path, length: int) -> None:
    with path.open("r+b") as file:
        # amid the page that stands there, whose head SQLite would look at
        file.seek(path.stat().st_size // 8192 * 4096 + 2_000)
        file.write(b"\x5a" * length)


@pytest.mark.parametrize(
    ("make", "damage", "at_least"),
    [
        (a_closed_spool, cut, PER_ENTRY),
        (a_closed_spool, empty, 0),
        (a_closed_spool, fill_with_garbage, 0),
        # what stands behind the damage is saved too
        (a_closed_spool, overwrite_pages, ENTRIES * PER_ENTRY * 3 // 4),
        (a_closed_spool, overwrite_letters, ENTRIES * PER_ENTRY * 3 // 4),
        (a_killed_spool, cut_log, PER_ENTRY),
        (a_killed_spool, lose_log, 0),
    ],
)
def test_damaged_spool_is_saved_kept_and_counted(
    database: psycopg.Connection,
    database_url: str,
    tmp_path: Path,
    make: Callable[[Path], Path],
    damage: Callable[[Path], None],
    at_least: int,
) -> None:
    path = make(tmp_path)
    damage(path)
    a_spool(tmp_path, a_part(an_event(app_name="whole")))
    engine = make_engine(database_url)
    with closing(Drainer(engine, tmp_path)) as drainer:
        while drainer.drain_round().records:
            pass
    engine.dispose()
    saved, others = _one_row(
        database, "SELECT count(*) FILTER (WHERE app_name = 'DViz'), count(*) FILTER (WHERE app_name = 'whole') FROM %s"
    )
    assert at_least <= saved < ENTRIES * PER_ENTRY
    assert _unreadable(database) == ENTRIES * PER_ENTRY - saved
    assert others == 1
    assert path.with_suffix(".damaged").exists()
    assert (spools_in(tmp_path), lock_path(path).exists()) == ([], False)
    assert read_backlog(tmp_path).damaged_file_count == 1
    assert _one_row(database, "SELECT count(*) FROM rejected_records") == (0,)


def damage_log(path: Path, text: bytes) -> None:
    garble(Path(f"{path}-wal"), text)


def damage_file(path: Path, text: bytes) -> None:
    with closing(sqlite3.connect(path)) as connection:
        [(is_busy, *_)] = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert not is_busy
    garble(path, text)


def garble(path: Path, text: bytes) -> None:
    with path.open("r+b") as file:
        content = file.read()
        assert text in content
        file.seek(0)
        file.write(content.replace(text, b"\x5a" * len(text)))


def leave(worker: subprocess.Popen[str]) -> None:
    assert worker.stdin
    worker.stdin.close()
    assert worker.wait(60) == 0


def be_killed(worker: subprocess.Popen[str]) -> None:
    worker.kill()
    worker.wait(60)


@pytest.mark.parametrize("end", [leave, be_killed])
@pytest.mark.parametrize("damage", [damage_log, damage_file])
@pytest.mark.parametrize("is_restarted", [False, True], ids=["one drainer", "restarted drainer"])
def test_damage_under_a_living_worker_is_kept(
    database: psycopg.Connection,
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: Callable[[subprocess.Popen[str]], None],
    damage: Callable[[Path, bytes], None],
    is_restarted: bool,
) -> None:
    monkeypatch.setattr("ingest_app.drain.drainer.DAMAGED_PAUSE_SECONDS", 0)
    names = [f"entry {number}." for number in range(12)]
    engine = make_engine(database_url)
    drainers = [Drainer(engine, tmp_path)] * 2 if not is_restarted else [Drainer(engine, tmp_path) for _ in range(2)]
    with run_python(LIVING, tmp_path, PER_ENTRY) as worker:
        _append(worker, names[:10])
        [path] = spools_in(tmp_path)
        # before any of it is drained; the pages behind it are written, its own is not written again
        damage(path, names[5].encode())
        _drain(drainers[0])
        assert _counts(database) == dict.fromkeys({*names[:10]} - {names[5]}, PER_ENTRY)
        _append(worker, names[10:])
        _drain(drainers[0])
        # it is not set aside under the one who writes to it
        assert spools_in(tmp_path) == [path]
        end(worker)
    _drain(drainers[1])
    for drainer in drainers:
        drainer.close()
    engine.dispose()
    assert _counts(database) == dict.fromkeys({*names} - {names[5]}, PER_ENTRY)
    assert _unreadable(database) == PER_ENTRY
    assert path.with_suffix(".damaged").exists()
    assert (spools_in(tmp_path), lock_path(path).exists()) == ([], False)
    assert read_backlog(tmp_path).damaged_file_count == 1


def test_spool_that_is_gone_is_counted_once(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    engine = make_engine(database_url)
    with closing(Drainer(engine, tmp_path)) as drainer:
        with closing(Spool(tmp_path, 0)) as spool:
            spool.append(_three_events())
            _drain(drainer)
            spool.append(_three_events())
            [path] = spools_in(tmp_path)
            path.unlink()
            _drain(drainer)
            # not while its worker has it, who accepts more
            assert _counted(database) == [("tracking_events", 3)]
        _drain(drainer)
        _drain(drainer)
    engine.dispose()
    assert _counted(database) == [("tracking_events", 3), ("unreadable", 3)]
    assert {found.name for found in tmp_path.iterdir()} <= {"drained.json"}


def test_removal_broken_off_loses_nothing(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    path = a_spool(tmp_path, _three_events())
    noted = lock_path(path).read_bytes()
    engine = make_engine(database_url)
    with closing(Drainer(engine, tmp_path)) as drainer:
        _drain(drainer)
        # as a drainer leaves it that is killed after the first of the files: its transaction is undone
        database.execute("INSERT INTO spool_cursors (spool_name, drained_seq) VALUES (%s, 3)", [path.stem])
        lock_path(path).write_bytes(noted)
        for orphan in ("b.lock", "c.spool-wal", "c.spool-shm"):
            (tmp_path / orphan).touch()
        making = take_lock(tmp_path / "making.lock")
        assert making is not None
        _drain(drainer)
        os.close(making)
    engine.dispose()
    assert _counted(database) == [("tracking_events", 3)]
    assert {found.name for found in tmp_path.iterdir()} == {"drained.json", "making.lock"}


def test_spool_another_drainer_removes_is_not_gone(
    database: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    path = a_spool(tmp_path, _three_events())
    engine = make_engine(database_url)
    with closing(Drainer(engine, tmp_path)) as drainer, ThreadPoolExecutor(1) as threads:
        with psycopg.connect(database_url) as other:
            other.execute("INSERT INTO spool_cursors (spool_name, drained_seq) VALUES (%s, 3)", [path.stem])
            path.unlink()
            round_of_it = threads.submit(drainer.drain_round)
            waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            wait_until(lambda: database.execute(waiting).fetchone() is not None, "a wait for the cursor")
            other.execute("DELETE FROM spool_cursors")
            lock_path(path).unlink()
        round_of_it.result(60)
    engine.dispose()
    assert _counted(database) == []
    assert _one_row(database, "SELECT count(*) FROM spool_cursors") == (0,)


def _three_events() -> Part:
    return a_part(*(an_event() for _ in range(3)))


def _counted(database: psycopg.Connection) -> list[tuple[str, int]]:
    query = "SELECT table_name, sum(accepted_count)::int FROM intake_counts GROUP BY 1 ORDER BY 1"
    return database.execute(query).fetchall()


def _append(worker: subprocess.Popen[str], names: Sequence[str]) -> None:
    assert worker.stdin
    assert worker.stdout
    for name in names:
        worker.stdin.write(f"{name}\n")
        worker.stdin.flush()
        assert worker.stdout.readline() == "appended\n"


def _drain(drainer: Drainer) -> None:
    """Go round until nothing comes, and once more, which removes what is drained."""
    while drainer.drain_round().records:
        pass
    drainer.drain_round()


def _counts(database: psycopg.Connection) -> dict[str, int]:
    return dict(database.execute("SELECT app_name, count(*) FROM tracking_events GROUP BY 1").fetchall())


def _unreadable(database: psycopg.Connection) -> int:
    query = "SELECT sum(accepted_count)::int FROM intake_counts WHERE table_name = 'unreadable'"
    return _one_row(database, query)[0]


def _one_row(database: psycopg.Connection, query: str) -> tuple[int, ...]:
    row = database.execute(query.replace("%s", "tracking_events")).fetchone()
    assert row is not None
    return tuple(row)
