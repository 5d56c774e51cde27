"""The seal is killed after each of its steps, or the disk fills up in them: every row counts once, before and after."""

import subprocess
import sys

import pytest

from tests.integration.archive.sealing import DAY, OTHER_DAY, Home, Rows, part
from warehouse.archive.manifest import known_lines, manifest_lines
from warehouse.connection import open_warehouse

# functions that a seal calls, in this order; between those that are left out nothing changes on the disk
STEPS = [
    "seal.write_part",
    "seal.put_in_place",
    "seal.require_postgres_rows",
    "seal.make_source_view",  # the last statement of the transaction
    "seal.commit",
    "manifest.unfinished",
    "manifest.put_in_place",
]

KILLED = """
import os, signal, sys
from pathlib import Path
import warehouse.archive.manifest, warehouse.archive.seal
module, step = sys.argv[3].rsplit(".", 1)
there = sys.modules["warehouse.archive." + module]
done = getattr(there, step)
def do_and_die(*arguments):
    done(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)
setattr(there, step, do_and_die)
warehouse.archive.seal.seal(sys.argv[1], Path(sys.argv[2]))
"""

DISK_FULL = """
import resource, sys
from pathlib import Path
import warehouse.archive.seal
from warehouse.archive.errors import SealFailed
step = sys.argv[3]
done = getattr(warehouse.archive.seal, step)
def do_on_a_full_disk(*arguments):
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
    done(*arguments)
setattr(warehouse.archive.seal, step, do_on_a_full_disk)
try:
    warehouse.archive.seal.seal(sys.argv[1], Path(sys.argv[2]))
except SealFailed as error:
    print(error)
"""


@pytest.fixture
def before(home: Home) -> dict[str, Rows]:
    return home.sources()


def run(script: str, home: Home, step: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script, home.database_url, str(home.warehouse_path), step]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def assert_resumes(home: Home, before: dict[str, Rows]) -> None:
    """What the models read is as it was, also after the next seal, which leaves nothing half-made behind."""
    assert home.sources() == before
    home.seal()
    assert home.sources() == before
    assert home.hot_count() == 12
    names = {path.relative_to(home.archive).as_posix() for path in home.archive.rglob("*") if path.is_file()}
    sealed = [part(table, day) for table in ("activity_events", "tracking_events") for day in (OTHER_DAY, DAY)]
    assert names == {"manifest.jsonl", *sealed}
    with open_warehouse(home.warehouse_path) as warehouse:
        assert known_lines(warehouse) == manifest_lines(home.archive)


@pytest.mark.parametrize("step", STEPS)
def test_seal_killed_after_a_step_is_resumed(home: Home, before: dict[str, Rows], step: str) -> None:
    killed = run(KILLED, home, step)
    assert killed.returncode == -9, killed.stderr
    assert_resumes(home, before)


@pytest.mark.parametrize("step", ["write_part", "commit"])
def test_full_disk_stops_the_seal_and_no_more(home: Home, before: dict[str, Rows], step: str) -> None:
    stopped = run(DISK_FULL, home, step)
    assert f"the seal of activity_events of {OTHER_DAY} stopped, no row is lost" in stopped.stdout, stopped.stderr
    assert_resumes(home, before)
