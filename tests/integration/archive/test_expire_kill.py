"""The expire and the restore are killed after each of their steps: every row counts once, and the next run ends it."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack

import pytest

from tests.integration.archive.aging import OLD, OLDER, Aged, copied, expire_now, of, partition, partition_states
from tests.integration.archive.sealing import Home, Rows
from tests.integration.archive.test_restore import in_postgres, restore

# functions that an expire calls, in this order, and which tables of the older day are there after the kill
EXPIRE_KILLED_AFTER = {
    "expire.prove": "attached",
    "detach.try_detach": "pending",  # a reader was in the way
    "expire.detach": "detached",
    "detach.drop_table": "detached",  # in its transaction
    "expire.drop_if": None,
}
RESTORE_KILLED_AFTER = {
    "restore_postgres.make_table": None,
    "restore_postgres._texts": None,  # amid the COPY
    "restore_postgres._require_rows": None,
    "restore_postgres.attach": None,  # in its transaction
    "restore_postgres._restore_day": "attached",
}

# a child for each step, with a home and a database of its own; forked, for to import takes longer than to expire
WORK = """
import json, os, signal, sys
import psycopg
import warehouse.archive.detach, warehouse.archive.expire, warehouse.archive.restore_postgres
from datetime import date
from pathlib import Path
from warehouse.archive.expire import expire
from warehouse.archive.restore import chosen
from warehouse.archive.restore_postgres import restore_into_postgres
from warehouse.archive.store import open_archive

def work(url, folder, day, place):
    module, step = place.rsplit(".", 1)
    there = sys.modules["warehouse.archive." + module]
    do = getattr(there, step)
    def do_and_die(*arguments, **named):
        do(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    def give_one_and_die(*arguments):
        yield next(do(*arguments))
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(there, step, give_one_and_die if step == "_texts" else do_and_die)
    warehouse_path = Path(folder) / "warehouse" / "warehouse.duckdb"
    archive = open_archive(None, warehouse_path)
    if module == "restore_postgres":
        with chosen(warehouse_path, archive, [day], "tracking_events") as files:
            restore_into_postgres(url, archive, files)
    else:
        warehouse.archive.detach.LOCK_WAIT_MS = 300
        with psycopg.connect(url) as reader:
            if step == "try_detach":
                reader.execute("SELECT count(*) FROM activity_events")
            expire(url, warehouse_path, dry_run=False)

for url, folder, day, place in json.loads(sys.argv[1]):
    child = os.fork()
    if not child:
        try:
            work(url, folder, date.fromisoformat(day), place)
        finally:
            os._exit(1)
    print(place, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def killed(aged: Aged, server_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Home]]:
    """A home for each step after which its expire or restore was killed."""
    folder = tmp_path_factory.mktemp("killed")
    with ExitStack() as copies:
        expired = copies.enter_context(copied(aged, server_url, folder / "expired"))
        expire_now(expired)
        origins = dict.fromkeys(EXPIRE_KILLED_AFTER, aged) | dict.fromkeys(RESTORE_KILLED_AFTER, of(expired))
        homes = {
            step: copies.enter_context(copied(origin, server_url, folder / step)) for step, origin in origins.items()
        }
        jobs = [[home.database_url, str(home.folder), str(OLDER), step] for step, home in homes.items()]
        command = [sys.executable, "-c", WORK, json.dumps(jobs)]
        working = subprocess.run(command, capture_output=True, text=True, check=False)
        assert working.stderr == ""
        assert working.stdout.splitlines() == [f"{step} -9" for step in homes]
        yield homes


@pytest.fixture(scope="module")
def before(aged: Aged, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    folder = tmp_path_factory.mktemp("before") / "home"
    shutil.copytree(aged.home.folder, folder)
    return Home(folder, aged.home.database_url).sources()


def state(home: Home, table: str) -> str | None:
    return partition_states(home).get(partition(OLDER, table))


def assert_counts_once(home: Home, before: dict[str, Rows], *, state_is: str | None) -> None:
    """Models read what they read before, also after a load, which takes a day's table for what it is."""
    if state_is is not None:
        home.load(full=state_is == "pending")
    assert home.sources() == before
    assert home.hot_count() == 12


@pytest.mark.parametrize("step", EXPIRE_KILLED_AFTER)
def test_expire_killed_after_a_step_is_resumed(killed: Mapping[str, Home], before: dict[str, Rows], step: str) -> None:
    home = killed[step]
    assert state(home, "activity_events") == EXPIRE_KILLED_AFTER[step]
    assert_counts_once(home, before, state_is=EXPIRE_KILLED_AFTER[step])
    assert expire_now(home).stays == []
    assert not {partition(day, name) for day in (OLDER, OLD) for name in before} & partition_states(home).keys()
    assert home.sources() == before


@pytest.mark.parametrize("step", RESTORE_KILLED_AFTER)
def test_restore_killed_after_a_step_is_resumed(
    killed: Mapping[str, Home], before: dict[str, Rows], aged: Aged, step: str
) -> None:
    home = killed[step]
    assert state(home, "tracking_events") == RESTORE_KILLED_AFTER[step]
    assert_counts_once(home, before, state_is=RESTORE_KILLED_AFTER[step])
    restore(home, OLDER, OLD)
    assert in_postgres(home) == in_postgres(aged.home)
