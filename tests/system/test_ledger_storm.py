"""32 clients in 4 processes move the points of 5 users while processes are killed: each move is made once, or not.

`make test` has a few rounds; `make drill` has `DRILL_ROUNDS`, drawn from `DRILL_SEED`. Each begins with users whom
nobody knows, so that their first balances are made by many at once.
"""

import os
import random
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from tests.system.conftest import _free_ports
from tests.system.killing import Stack, pause, running_stack, wait_until
from tests.system.moving import Clients, Journal, differences

ROUNDS = int(os.environ.get("DRILL_ROUNDS", "0"))
SEED = os.environ.get("DRILL_SEED", "0")
USERS = 5
# before the blow, and again after it
LEAST_MOVES = 100
Blow = Callable[[Stack, Clients, random.Random], None]


def kill_clients(stack: Stack, clients: Clients, chance: random.Random) -> None:
    clients.kill_some(chance)


def kill_worker(stack: Stack, clients: Clients, chance: random.Random) -> None:
    stack.kill_worker(chance)
    clients.kill_some(chance)


def kill_postgres(stack: Stack, clients: Clients, chance: random.Random) -> None:
    stack.processes["postgres"].kill()
    stack.processes["postgres"].wait(30)
    pause(chance.random() / 2)
    stack.start("postgres")


def kill_backend(stack: Stack, clients: Clients, chance: random.Random) -> None:
    # one of its processes: Postgres ends all others and recovers
    backends = [
        process
        for process in psutil.Process(stack.processes["postgres"].pid).children()
        if "[local]" in " ".join(process.cmdline())
    ]
    chance.choice(backends).kill()


def kill_everything(stack: Stack, clients: Clients, chance: random.Random) -> None:
    for name in chance.sample(["ingest", "postgres"], 2):
        stack.kill(name)
    clients.kill_some(chance)
    pause(chance.random() / 2)


BLOWS: list[Blow] = [kill_clients, kill_worker, kill_postgres, kill_backend, kill_everything]
FEW: list[Blow] = [kill_worker, kill_postgres, kill_everything]


def _rounds() -> list[tuple[int, Blow]]:
    if not ROUNDS:
        return list(enumerate(FEW))
    return list(enumerate(random.Random(SEED).choices(BLOWS, k=ROUNDS)))


@pytest.fixture(scope="module")
def stack_and_key() -> Iterator[tuple[Stack, str]]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_")}
    env.pop("DATABASE_URL", None)
    with tempfile.TemporaryDirectory(prefix="footfall-storm-") as folder:
        # for Postgres, which refuses to be root
        Path(folder).chmod(0o755)
        with running_stack(Path(folder) / "home", env, _free_ports(1)[0]) as running:
            yield running


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("number", "blow"), _rounds(), ids=lambda value: getattr(value, "__name__", value))
def test_every_move_was_made_once_after(
    stack_and_key: tuple[Stack, str], tmp_path: Path, number: int, blow: Blow
) -> None:
    stack, key = stack_and_key
    chance = random.Random(f"{SEED} {number}")
    users = range(number * USERS + 1, number * USERS + USERS + 1)
    prefix = f"round-{number}-"
    clients = Clients(tmp_path, stack.url, key, users, prefix)
    try:
        wait_until(lambda: _count(stack, prefix) > LEAST_MOVES)
        pause(chance.random())
        blow(stack, clients, chance)
        stack.make_whole()
        sent = _count(stack, prefix)
        wait_until(lambda: _count(stack, prefix) > sent + LEAST_MOVES)
        clients.finish()
    finally:
        clients.stop()
    journal = Journal().read(clients.lines())
    assert not (found := differences(stack.dsn, list(users), prefix, journal)), (SEED, journal.told, found)
    sys.stdout.write(f"round {number} of seed {SEED}: {dict(journal.told)}\n")


def _count(stack: Stack, prefix: str) -> int:
    with psycopg.connect(stack.dsn, connect_timeout=10) as connection:
        query = "SELECT count(*) FROM idempotency_keys WHERE starts_with(idempotency_key, %s)"
        return int(connection.execute(query, [prefix]).fetchall()[0][0])
