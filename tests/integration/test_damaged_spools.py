"""Spools that were cut or overwritten: what can be read arrives, the file is kept and counted, the others go on."""

from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import psycopg
import pytest

from ingest_app.database import make_engine
from ingest_app.drain.drainer import Drainer
from ingest_app.spool import Spool
from ingest_app.spool.files import lock_path, spools_in
from ingest_app.spool.reader import read_backlog
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
    assert others == 1
    assert path.with_suffix(".damaged").exists()
    assert (spools_in(tmp_path), lock_path(path).exists()) == ([], False)
    assert read_backlog(tmp_path).damaged_file_count == 1
    assert _one_row(database, "SELECT count(*) FROM rejected_records") == (0,)


def test_damage_under_a_living_worker_waits_until_it_left(
    database: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    engine = make_engine(database_url)
    with closing(Spool(tmp_path, 0)) as spool, closing(Drainer(engine, tmp_path)) as drainer:
        for _ in range(3):
            spool.append(a_part(an_event()))
        [path] = spools_in(tmp_path)
        drainer.drain_round()
        overwrite(Path(f"{path}-wal"), 20_000)
        spool.append(a_part(an_event()))
        drainer.drain_round()
        assert spools_in(tmp_path)
        spool.close()
    engine.dispose()
    # another drainer, as after a restart
    engine = make_engine(database_url)
    with closing(Drainer(engine, tmp_path)) as drainer:
        drainer.drain_round()
    engine.dispose()
    assert _one_row(database, "SELECT count(*) >= 3 FROM tracking_events") == (True,)
    assert spools_in(tmp_path) == []


def _one_row(database: psycopg.Connection, query: str) -> tuple[int, ...]:
    row = database.execute(query.replace("%s", "tracking_events")).fetchone()
    assert row is not None
    return tuple(row)
