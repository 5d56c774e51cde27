"""The seal is killed after each of its steps, or the disk fills up in them: every row counts once, before and after."""

import shutil
import subprocess
import sys
from collections.abc import Mapping

import pytest

from tests.integration.archive.sealing import DAY, OTHER_DAY, Home, Rows, part
from warehouse.archive.manifest import known_lines, manifest_lines
from warehouse.connection import open_warehouse

# functions that a seal calls, and the archive's methods with the file; in this order, and between those that are left
# out nothing changes on the disk
KILLED_AFTER = [
    "seal.write_part",
    "put_in_place part-0.parquet",
    "seal.require_postgres_rows",
    "seal.make_source_view",  # the last statement of the transaction
    "seal.commit",
    "staging manifest.jsonl",
    "put_in_place manifest.jsonl",
]
FULL_IN = ["seal.write_part", "seal.commit", "seal.complete_manifest"]

# a child for each end, which seals a home of its own; forked, for to import takes longer than to seal
SEAL = """
import os, resource, signal, sys
import warehouse.archive.seal
from pathlib import Path
from warehouse.archive.errors import SealFailed
from warehouse.archive.manifest import known_lines
from warehouse.archive.store import FolderArchive

def seal(folder, end, place):
    if " " in place:
        step, of_file = place.split()
        there = FolderArchive
    else:
        step, of_file = place.removeprefix("seal."), None
        there = warehouse.archive.seal
    do = getattr(there, step)
    def do_and_die(*arguments):
        done = do(*arguments)
        if of_file is None or arguments[1].endswith(of_file):
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    def do_on_a_full_disk(*arguments):
        if step != "complete_manifest" or known_lines(arguments[1]):
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        do(*arguments)
    setattr(there, step, do_and_die if end == "killed" else do_on_a_full_disk)
    try:
        warehouse.archive.seal.seal(sys.argv[1], Path(folder) / end / place / "warehouse" / "warehouse.duckdb")
    except SealFailed as error:
        print(error, flush=True)

for one in sys.argv[3:]:
    child = os.fork()
    if not child:
        try:
            seal(sys.argv[2], *one.split("/"))
        finally:
            os._exit(1)
    print(one, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def ended(loaded: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[Mapping[str, Home], str]:
    """A home for each end, and what the seals said."""
    ends = [f"killed/{step}" for step in KILLED_AFTER] + [f"full/{step}" for step in FULL_IN]
    folder = tmp_path_factory.mktemp("ended")
    homes = {end: Home(folder / end, loaded.database_url) for end in ends}
    for home in homes.values():
        shutil.copytree(loaded.folder, home.folder)
    command = [sys.executable, "-c", SEAL, loaded.database_url, str(folder), *ends]
    sealing = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "Traceback" not in sealing.stderr, sealing.stderr
    return homes, sealing.stdout


@pytest.fixture(scope="module")
def before(loaded: Home, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Rows]:
    folder = tmp_path_factory.mktemp("before") / "home"
    shutil.copytree(loaded.folder, folder)
    return Home(folder, loaded.database_url).sources()


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
        assert known_lines(warehouse) == manifest_lines(home.store)


@pytest.mark.parametrize("step", KILLED_AFTER)
def test_seal_killed_after_a_step_is_resumed(
    ended: tuple[Mapping[str, Home], str], before: dict[str, Rows], step: str
) -> None:
    homes, said = ended
    assert f"killed/{step} -9\n" in said
    assert_resumes(homes[f"killed/{step}"], before)


@pytest.mark.parametrize("step", FULL_IN)
def test_full_disk_stops_the_seal_and_no_more(
    ended: tuple[Mapping[str, Home], str], before: dict[str, Rows], step: str
) -> None:
    homes, said = ended
    told, _, _ = said.partition(f"full/{step} 1\n")
    assert told.splitlines()[-1].startswith(f"the seal of activity_events of {OTHER_DAY} stopped, no row is lost")
    assert_resumes(homes[f"full/{step}"], before)
