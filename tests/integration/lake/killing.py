"""Runs that are killed after a step, one after the other on the same home; that each was killed is asserted."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.integration.lake.lakes import LakeHome

# a child for each step; forked before it has a thread, for to import takes longer than to load
RUN = """
import os, signal, sys
import warehouse.archive.seal, warehouse.archive.store, warehouse.load, warehouse.people.raw
import warehouse.lake.loading, warehouse.lake.switching, warehouse.lake.writing
from pathlib import Path
from tests.integration.lake.lakes import LakeHome
from tests.integration.people.removing import remove_person

PLACES = {
    "load": warehouse.load, "loading": warehouse.lake.loading, "switching": warehouse.lake.switching,
    "writing": warehouse.lake.writing, "store": warehouse.archive.store.FolderArchive,
    "seal": warehouse.archive.seal, "raw": warehouse.people.raw,
}
url, folder, what, *steps = sys.argv[1:]
home = LakeHome(Path(folder), url)
RUNS = {
    "load": home.load, "full": lambda: home.load(full=True), "back": lambda: home.load_tables(into_lake=False),
    "seal": home.seal, "remove": lambda: remove_person(home),
}

def run_and_die(place):
    module, step = place.split(".")
    there = PLACES[module]
    do = getattr(there, step)
    def do_and_die(*arguments, **named):
        done = do(*arguments, **named)
        # a step of the archive counts when it has done it with a hot file
        if module != "store" or "lake/hot" in arguments[1]:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    setattr(there, step, do_and_die)
    RUNS[what]()

for place in steps:
    child = os.fork()
    if not child:
        try:
            run_and_die(place)
        finally:
            os._exit(1)
    print(place, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def kill_after(home: LakeHome, what: str, steps: Sequence[str]) -> None:
    """Begin a run for each step, which goes on where the one before was killed, and is killed after the step."""
    command = [sys.executable, "-c", RUN, home.database_url, str(home.folder), what, *steps]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert done.stdout == "".join(f"{step} -9\n" for step in steps), done.stderr
