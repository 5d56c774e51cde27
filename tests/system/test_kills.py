"""Processes are killed and stopped under load; every 202 is kept, once, and nothing that was refused is there.

`make test` has a few rounds; `make drill` hundreds (`DRILL_ROUNDS`), of kinds, moments and loads drawn from
`DRILL_SEED`. A round that failed is named by both: run it again with the same two and `-k` its name.
"""

import os
import random
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.system.conftest import Footfall, Running, _free_ports
from tests.system.killing import Ledger, Stack, load, pause, running_stack, stored, wait_until

ROUNDS = int(os.environ.get("DRILL_ROUNDS", "0"))
SEED = os.environ.get("DRILL_SEED", "0")
AWAY_SECONDS = 30.0 if ROUNDS else 2.0


def kill_worker(stack: Stack, chance: random.Random) -> None:
    stack.kill_worker(chance)


def kill_ingest(stack: Stack, chance: random.Random) -> None:
    stack.kill("ingest")
    pause(chance.random())
    stack.start("ingest")


def kill_drainer(stack: Stack, chance: random.Random) -> None:
    stack.kill("drainer")
    pause(chance.random())
    stack.start("drainer")


def kill_worker_and_drainer(stack: Stack, chance: random.Random) -> None:
    stack.kill_worker(chance)
    stack.kill("drainer")
    pause(chance.random())
    stack.start("drainer")


def kill_postgres(stack: Stack, chance: random.Random) -> None:
    stack.processes["postgres"].kill()
    stack.processes["postgres"].wait(30)
    pause(chance.random())
    stack.start("postgres")


def kill_everything(stack: Stack, chance: random.Random) -> None:
    for name in chance.sample(["ingest", "drainer", "postgres"], 3):
        stack.kill(name)
    pause(chance.random())


def freeze_postgres(stack: Stack, chance: random.Random) -> None:
    stack.signal("postgres", signal.SIGSTOP)
    pause(AWAY_SECONDS)
    stack.signal("postgres", signal.SIGCONT)


def stop_postgres(stack: Stack, chance: random.Random) -> None:
    stack.end("postgres")
    pause(AWAY_SECONDS)
    stack.start("postgres")


def stop_in_order(stack: Stack, chance: random.Random) -> None:
    # granian ends with 1 where it was just bringing back a worker
    stack.end("ingest")
    assert stack.end("drainer") == 0
    pause(chance.random())


BLOWS = [
    kill_worker,
    kill_ingest,
    kill_drainer,
    kill_worker_and_drainer,
    kill_postgres,
    kill_everything,
    freeze_postgres,
    stop_postgres,
    stop_in_order,
]
# they hold what the others do one by one
FEW = [kill_worker_and_drainer, kill_postgres, kill_everything, freeze_postgres, stop_in_order]
OFTEN = [7, 5, 7, 7, 5, 5, 1, 1, 3]


def _rounds() -> list[tuple[int, Callable[[Stack, random.Random], None]]]:
    if not ROUNDS:
        return list(enumerate(FEW))
    return list(enumerate(random.Random(SEED).choices(BLOWS, OFTEN, k=ROUNDS)))


@pytest.fixture(scope="module")
def stack_and_key() -> Iterator[tuple[Stack, str]]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_")}
    env.pop("DATABASE_URL", None)
    with _open_folder() as folder, running_stack(folder / "home", env, _free_ports(1)[0]) as running:
        yield running


@pytest.fixture
def footfall_in_the_open(footfall: Footfall, give_models: Callable[[Path], None]) -> Iterator[Footfall]:
    with _open_folder() as folder:
        home = folder / "home"
        give_models(home)
        yield replace(footfall, home=home, env={**footfall.env, "FOOTFALL_HOME": str(home)})


@contextmanager
def _open_folder() -> Iterator[Path]:
    """Give a folder in which also Postgres, which refuses to be root, gets at its files; pytest's own are closed."""
    with tempfile.TemporaryDirectory(prefix="footfall-kills-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("number", "blow"), _rounds(), ids=lambda value: getattr(value, "__name__", value))
def test_every_answer_was_true_after(
    stack_and_key: tuple[Stack, str], number: int, blow: Callable[[Stack, random.Random], None]
) -> None:
    stack, key = stack_and_key
    chance = random.Random(f"{SEED} {number}")
    name = f"round-{number}"
    with load(stack.url, key, name, chance) as ledger:
        pause(0.3 + chance.random())
        blow(stack, chance)
        stack.make_whole()
        pause(chance.random() / 2)
    assert_true(stack, name, ledger)


def test_second_drainer_ends_with_one_line(stack_and_key: tuple[Stack, str]) -> None:
    stack, key = stack_and_key
    with load(stack.url, key, "two-drainers", random.Random(1)) as ledger:
        second = stack.run_drainer()
    assert second.returncode == 1
    assert (second.stdout + second.stderr).count("\n") == 1
    assert "another drainer" in second.stdout + second.stderr
    assert_true(stack, "two-drainers", ledger)


@pytest.mark.skipif(ROUNDS > 0, reason="the drill is about the rounds")
def test_killed_children_of_up_lose_nothing(footfall_in_the_open: Footfall, start: Callable[..., Running]) -> None:
    footfall = footfall_in_the_open
    up = start(footfall, "up")
    key = up.wait_for(r"server key +(\S+)")[1]
    up.wait_for("Ctrl-C stops everything")
    with load(footfall.url("ingest"), key, "up", random.Random(2)) as ledger:
        pause(0.5)
        for name in ("ingest_app.drain", "ingest_app.app", "postgres"):
            _kill(footfall, name)
        up.wait_for("drainer ended with exit code")
        up.wait_for("ingest ended with exit code")
        up.wait_for("Postgres ended; starting it again")
        sent = len(ledger.accepted)
        wait_until(lambda: len(ledger.accepted) > sent)
        up.process.send_signal(signal.SIGTERM)
        assert up.process.wait(60) == 0
    assert ledger.accepted
    # what the drainer had no time for is on disk: without the rest of the stack it goes on there
    stack = Stack(footfall.home, footfall.env, int(footfall.env["FOOTFALL_INGEST_PORT"]))
    try:
        stack.make_whole()
        assert_true(stack, "up", ledger)
    finally:
        stack.stop()


def assert_true(stack: Stack, name: str, ledger: Ledger) -> None:
    """Compare what was answered with what is there, once nothing waits any more."""
    wait_until(stack.has_drained)
    differences = ledger.differences(stored(stack.dsn, name))
    assert not differences, (SEED, ledger.statuses, differences)
    # the round was one: there was load, and some of it was refused
    assert len(ledger.accepted) > 50
    assert ledger.refused
    told = f"{len(ledger.accepted)} accepted, {len(ledger.unknown)} unknown, {len(ledger.refused)} refused"
    sys.stdout.write(f"{name} of seed {SEED}: {told}; answers {dict(ledger.statuses)}\n")


def _kill(footfall: Footfall, what: str) -> None:
    if what == "postgres":
        psutil.Process(int((footfall.home / "postgres" / "postmaster.pid").read_text().split()[0])).kill()
        return
    victims = [process for process in footfall.processes() if _runs(process, what)]
    assert victims
    for process in victims:
        process.kill()


def _runs(process: psutil.Process, what: str) -> bool:
    try:
        return any(what in word for word in process.cmdline())
    except psutil.NoSuchProcess:
        # it has ended meanwhile by itself
        return False
