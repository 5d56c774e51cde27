"""A rewrite is killed after each of its steps, or the disk fills up: each file is as it was or as it will be."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.archive.rewriting import REASON, rewrite, without
from tests.integration.archive.sealing import DAY, OTHER_DAY, TODAY, Home, Rows, part
from warehouse.archive.manifest import known_files, known_lines, manifest_lines
from warehouse.archive.verify import unnamed_files, verify_files
from warehouse.connection import open_warehouse

# functions that a rewrite calls, and the archive's methods with the file; in this order, and between those that are
# left out nothing changes on the disk
KILLED_AFTER = [
    "rewrite.write_staying",
    "put_in_place part-0.v1.parquet",
    "rewrite.require_sum",
    "rewrite.make_source_view",  # the last statement of the transaction
    "rewrite.commit",
    "staging manifest.jsonl",
    "put_in_place manifest.jsonl",
    "remove part-0.parquet",
]
COMMITTED = KILLED_AFTER[KILLED_AFTER.index("rewrite.commit") :]
# the warehouse file is lost as well: how many rows of the table does no file have then?
LOST_AFTER = {"put_in_place part-0.v1.parquet": 4, "rewrite.commit": 4, "put_in_place manifest.jsonl": 4 + 1}
FULL_IN = ["rewrite.write_staying", "rewrite.commit", "rewrite.complete_manifest"]
FIRST, NEW = part("activity_events", OTHER_DAY), part("activity_events", OTHER_DAY).replace("-0.", "-0.v1.")

# a child for each end, which rewrites in a home of its own; forked, for to import takes longer
REWRITE = """
import os, resource, signal, sys
import warehouse.archive.rewrite
from tests.integration.archive.rewriting import rewrite
from tests.integration.archive.sealing import Home
from pathlib import Path
from warehouse.archive.errors import RewriteFailed
from warehouse.archive.manifest import known_lines
from warehouse.archive.store import FolderArchive

def run(folder, end, place):
    if " " in place:
        step, of_file = place.split()
        there = FolderArchive
    else:
        step, of_file = place.removeprefix("rewrite."), None
        there = warehouse.archive.rewrite
    do = getattr(there, step)
    def do_and_die(*arguments):
        done = do(*arguments)
        if of_file is None or arguments[1].endswith(of_file):
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    def do_on_a_full_disk(*arguments):
        if step != "complete_manifest" or any("replaces" in line for line in known_lines(arguments[1])):
            resource.setrlimit(resource.RLIMIT_FSIZE, (100, resource.RLIM_INFINITY))
        do(*arguments)
    setattr(there, step, do_on_a_full_disk if end == "full" else do_and_die)
    try:
        rewrite(Home(Path(folder) / end / place, ""))
    except RewriteFailed as error:
        print(error, flush=True)

for one in sys.argv[2:]:
    child = os.fork()
    if not child:
        try:
            run(sys.argv[1], *one.split("/"))
        finally:
            os._exit(1)
    print(one, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def ended(
    sealed_once: tuple[Home, dict[str, Rows]], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Mapping[str, Home], str]:
    """A home for each end, and what the rewrites said."""
    sealed, _ = sealed_once
    places = {"killed": KILLED_AFTER, "lost": LOST_AFTER, "full": FULL_IN}
    ends = [f"{end}/{step}" for end, steps in places.items() for step in steps]
    folder = tmp_path_factory.mktemp("ended")
    homes = {end: Home(folder / end, sealed.database_url) for end in ends}
    for home in homes.values():
        shutil.copytree(sealed.folder, home.folder)
    command = [sys.executable, "-c", REWRITE, str(folder), *ends]
    root = Path(__file__).parents[3]
    rewriting = subprocess.run(command, capture_output=True, text=True, check=False, cwd=root)
    assert "Traceback" not in rewriting.stderr, rewriting.stderr
    return homes, rewriting.stdout


def names_in(home: Home) -> set[str]:
    return {path.relative_to(home.archive).as_posix() for path in home.archive.rglob("*") if path.is_file()}


def assert_resumes(home: Home, before: dict[str, Rows], *, is_committed: bool) -> None:
    """What the models read is that of before or of after this one file, and of after once it has run again."""
    after = without(before, f"{TODAY}")
    first_file_only = {**before, "activity_events": without(before, f"{DAY}")["activity_events"]}
    assert home.sources() == (first_file_only if is_committed else before)
    # that has swept away what the kill left
    assert names_in(home) & {FIRST, NEW} == {NEW if is_committed else FIRST}
    rewrite(home)
    assert home.sources() == after
    parts = [part(table, day) for table in ("activity_events", "tracking_events") for day in (OTHER_DAY, DAY)]
    assert names_in(home) == {"manifest.jsonl", *(name.replace("-0.", "-0.v1.") for name in parts)}
    with open_warehouse(home.warehouse_path) as warehouse:
        assert known_lines(warehouse) == manifest_lines(home.store)
        assert {file.reason for file in known_files(warehouse)} == {REASON}
    assert not [finding for finding in (*verify_files(home.store), *unnamed_files(home.store)) if finding.fault]


@pytest.mark.parametrize("step", KILLED_AFTER)
def test_rewrite_killed_after_a_step_is_resumed(
    ended: tuple[Mapping[str, Home], str], before_rewrite: dict[str, Rows], step: str
) -> None:
    homes, said = ended
    assert f"killed/{step} -9\n" in said
    assert_resumes(homes[f"killed/{step}"], before_rewrite, is_committed=step in COMMITTED)


@pytest.mark.parametrize("step", FULL_IN)
def test_full_disk_stops_the_rewrite_and_no_more(
    ended: tuple[Mapping[str, Home], str], before_rewrite: dict[str, Rows], step: str
) -> None:
    homes, said = ended
    told, _, _ = said.partition(f"full/{step} 1\n")
    assert f"{FIRST} was not rewritten and is as it was" in told.splitlines()[-1]
    assert_resumes(homes[f"full/{step}"], before_rewrite, is_committed=step == "rewrite.complete_manifest")


@pytest.mark.parametrize("step", LOST_AFTER)
def test_warehouse_lost_with_a_killed_rewrite_comes_back(
    ended: tuple[Mapping[str, Home], str], before_rewrite: dict[str, Rows], step: str
) -> None:
    """Postgres has the rows still, so that whatever no file has is loaded from there."""
    home = ended[0][f"lost/{step}"]
    home.warehouse_path.unlink()
    home.load(full=True)
    assert home.sources() == before_rewrite
    assert home.hot_count("activity_events") == LOST_AFTER[step]
    assert len(names_in(home) & {FIRST, NEW}) == 1
