"""The removal of a person is killed after each of its steps, one run after the other; it ends as if it never was."""

import subprocess
import sys
from pathlib import Path

from tests.integration.archive.sealing import Home
from tests.integration.people.conftest import Copy
from tests.integration.people.removing import found_in, remove_person, state_of

# functions that a removal calls, in this order
KILLED_AFTER = [
    "erase.begin",
    "postgres._rename_in_ledger",
    "postgres.remove",
    "raw.note_before",
    "raw._remove",  # the last statement of the transaction
    "raw.note_behind",
    "archive.rewrite_without",
    "archive.note_before",
    "archive.rewrite_loose_file",
    "erase.mark_removed",
    "postgres.vacuum",
]

# a child for each step; forked, for to import takes longer than to remove
REMOVE = """
import os, signal, sys
import warehouse.people.archive, warehouse.people.erase, warehouse.people.postgres, warehouse.people.raw
from pathlib import Path
from tests.integration.archive.sealing import Home
from tests.integration.people.removing import remove_person

def remove(folder, url, place):
    module, step = place.split(".")
    there = sys.modules["warehouse.people." + module]
    do = getattr(there, step)
    def do_and_die(*arguments, **named):
        do(*arguments, **named)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(there, step, do_and_die)
    remove_person(Home(Path(folder), url))

for place in sys.argv[3:]:
    child = os.fork()
    if not child:
        try:
            remove(sys.argv[1], sys.argv[2], place)
        finally:
            os._exit(1)
    print(place, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def kill_after(home: Home, *steps: str) -> None:
    """Begin a removal for each step, which goes on where the one before was killed, and is killed after the step."""
    command = [sys.executable, "-c", REMOVE, str(home.folder), home.database_url, *steps]
    removing = subprocess.run(command, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[3])
    assert removing.stdout == "".join(f"{step} -9\n" for step in steps), removing.stderr


def test_removal_killed_after_every_step_is_resumed(copy: Copy, tmp_path: Path) -> None:
    home, other = copy(tmp_path / "killed").home, copy(tmp_path / "whole").home
    whole = remove_person(other)
    kill_after(home, *KILLED_AFTER)
    erasure = remove_person(home)
    assert state_of(home, erasure.pseudonym) == state_of(other, whole.pseudonym)
    assert found_in(home, erasure) == []
    assert {**erasure.certificate, "pending": {}} == {**whole.certificate, "pending": {}}
    assert erasure.id == whole.id
