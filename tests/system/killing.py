"""A write side whose processes can be killed one by one, clients that note what they were told, and who compares both.

Postgres, two ingest workers and the drainer, started as `footfall up` starts them but without Dagster, so that a round
takes seconds. What happens in a round, and when, comes from its seed; how the machine schedules it does not.
"""

import os
import random
import re
import signal
import subprocess
import sys
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg
import requests

PROGRAMS = Path(sys.executable).parent
DEADLINE_SECONDS = 90
CLIENTS = 4
AN_EVENT = {"user_type": "guest", "event_type": "visit", "event_name": "home"}

# a worker that is asked to stop while it starts does not hear it
PATIENCE = ("--workers-kill-timeout", 5)

waiting = threading.Event()


class Stack:
    """The processes of a home folder by name: `postgres`, `ingest`, `drainer`."""

    def __init__(self, home: Path, env: Mapping[str, str], port: int) -> None:
        self.home = home
        self.url = f"http://127.0.0.1:{port}"
        self.dsn = f"postgresql://postgres@/footfall?host={home / 'postgres'}"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self._env = {**env, "FOOTFALL_HOME": str(home), "FOOTFALL_SECRET": "s", "DATABASE_URL": self.dsn}
        # Postgres notes how it was started last
        program = (home / "postgres" / "postmaster.opts").read_text().split()[0]
        serve = (PROGRAMS / "granian", "--interface", "wsgi", "--factory", "ingest_app.app:create_app", "--port", port)
        self._commands: dict[str, Sequence[object]] = {
            "postgres": (program, "-D", home / "postgres", "-k", home / "postgres", "-c", "listen_addresses="),
            "ingest": (*serve, "--host", "127.0.0.1", "--workers", 2, "--respawn-failed-workers", *PATIENCE),
            "drainer": (sys.executable, "-m", "ingest_app.drain"),
        }

    def start(self, name: str) -> None:
        """Start a process, and wait for it where it is Postgres."""
        self._spawn(name)
        if name == "postgres":
            wait_until(self._has_postgres)

    def _spawn(self, name: str) -> None:
        # Postgres as the user that its files belong to, for it refuses to be root
        owner = (self.home / "postgres").stat()
        is_other = name == "postgres" and os.geteuid() == 0
        user, group = (owner.st_uid, owner.st_gid) if is_other else (None, None)
        with (self.home / f"{name}.log").open("ab") as log:
            command = list(map(str, self._commands[name]))
            self.processes[name] = subprocess.Popen(
                command,
                env=self._env,
                cwd="/",
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=user,
                group=group,
            )

    def run_drainer(self) -> subprocess.CompletedProcess[str]:
        """Start one more drainer, by mistake."""
        command = list(map(str, self._commands["drainer"]))
        return subprocess.run(command, env=self._env, cwd="/", capture_output=True, text=True, timeout=60, check=False)

    def kill(self, name: str) -> None:
        """Send SIGKILL to a process and all that it started."""
        process = self.processes[name]
        for victim in [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                victim.kill()
        process.wait(30)

    def kill_worker(self, chance: random.Random) -> None:
        """Send SIGKILL to one of the ingest workers; its server starts another."""
        workers = [
            child
            for child in psutil.Process(self.processes["ingest"].pid).children()
            # the other child is multiprocessing's resource tracker
            if "resource_tracker" not in " ".join(child.cmdline())
        ]
        chance.choice(workers).kill()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a process and all that it started, as a stopped machine would feel it."""
        process = psutil.Process(self.processes[name].pid)
        for one in (process, *process.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                one.send_signal(number)

    def end(self, name: str) -> int:
        """Ask a process to stop, in order; returns its exit code."""
        self.processes[name].send_signal(signal.SIGINT if name == "postgres" else signal.SIGTERM)
        return self.processes[name].wait(60)

    def make_whole(self) -> None:
        """Start what does not run, until ingest answers: granian itself ends where its workers die in a row."""
        wait_until(lambda: self._start_missing() and self._answers())

    def has_drained(self) -> bool:
        """Tell whether nothing waits in the spools, as /metrics has it."""
        try:
            text = requests.get(f"{self.url}/metrics", timeout=30).text
        except requests.RequestException:
            # granian ended a moment after its worker, see make_whole
            return not self._start_missing()
        found = re.search(r"^footfall_spool_records (\S+)", text, re.M)
        assert found
        return float(found[1]) == 0

    def stop(self) -> None:
        """End everything at once."""
        for name, process in self.processes.items():
            if process.poll() is None:
                self.kill(name)

    def _start_missing(self) -> bool:
        for name in ("postgres", "ingest", "drainer"):
            process = self.processes.get(name)
            if process is None or process.poll() is not None:
                self.start(name)
        return True

    def _answers(self) -> bool:
        with suppress(requests.RequestException):
            return requests.get(f"{self.url}/healthz", timeout=5).ok
        return False

    def _has_postgres(self) -> bool:
        if self.processes["postgres"].poll() is not None:
            # what a killed server's children still hold keeps a new one away for a moment
            self._spawn("postgres")
        with suppress(psycopg.OperationalError), psycopg.connect(self.dsn, connect_timeout=5):
            return True
        return False


@dataclass
class Ledger:
    """What clients were told of each event id, whoever sent it how often: accepted wins, then unknown, then refused."""

    accepted: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    statuses: Counter[str] = field(default_factory=Counter)

    def note(self, status: int | None, event_ids: Sequence[str], dropped: Sequence[str]) -> None:
        """Note the answer to a batch: its status (None: the connection broke) and the ids that it named as bad."""
        self.statuses[str(status)] += 1
        told = {202: self.accepted, None: self.unknown}.get(status, self.refused)
        told.update(set(event_ids) - set(dropped))
        self.refused.update(dropped)

    def differences(self, rows: Mapping[str, int]) -> dict[str, list[str]]:
        """Compare with how often each event is in Postgres; empty where every promise was kept."""
        found = {
            "accepted and lost": self.accepted - set(rows),
            "more than once": {event_id for event_id, count in rows.items() if count > 1},
            "refused and there": (self.refused - self.accepted - self.unknown) & set(rows),
            "never sent": set(rows) - self.accepted - self.unknown - self.refused,
        }
        return {name: sorted(ids)[:5] for name, ids in found.items() if ids}


@contextmanager
def load(url: str, key: str, round_name: str, chance: random.Random) -> Iterator[Ledger]:
    """Let clients send until the end of the block. All events carry the round's name as their app."""
    ledger, gate, stop = Ledger(), threading.Lock(), threading.Event()
    seeds = [chance.random() for _ in range(CLIENTS)]
    clients = [
        threading.Thread(target=_send_on, args=(url, key, round_name, random.Random(seed), ledger, gate, stop))
        for seed in seeds
    ]
    for client in clients:
        client.start()
    try:
        yield ledger
    finally:
        stop.set()
        for client in clients:
            client.join()


def stored(dsn: str, round_name: str) -> dict[str, int]:
    """Count the rows of each event id of a round."""
    query = "SELECT event_id::text, count(*) FROM tracking_events WHERE app_name = %s GROUP BY 1"
    with psycopg.connect(dsn) as connection:
        return dict(connection.execute(query, [round_name]).fetchall())


def wait_until(is_true: Callable[[], bool]) -> None:
    """Look often; fail after DEADLINE_SECONDS."""
    for _ in range(DEADLINE_SECONDS * 20):
        if is_true():
            return
        pause(0.05)
    raise AssertionError(f"it did not happen within {DEADLINE_SECONDS} s")


def pause(seconds: float) -> None:
    """Let the load go on for a while: when something is killed is what a round is made of."""
    waiting.wait(seconds)


def _send_on(
    url: str, key: str, app: str, chance: random.Random, ledger: Ledger, gate: threading.Lock, stop: threading.Event
) -> None:
    earlier: list[dict[str, str]] = []
    while not stop.is_set():
        with requests.Session() as session:
            session.trust_env = False
            while not stop.is_set():
                # as a client does that got no answer: the same events again
                batch = earlier if earlier and chance.random() < 0.2 else _batch(app, chance)
                earlier = batch
                if not _send(session, url, key if chance.random() < 0.97 else "no key", batch, ledger, gate):
                    break
                # a busy client, not one that takes the processor from who is tested
                stop.wait(chance.random() / 50)
        # nobody listens: ingest is being started again
        stop.wait(0.1)


def _batch(app: str, chance: random.Random) -> list[dict[str, str]]:
    # every twentieth is no event and must not arrive
    kinds = ("visit" if chance.random() < 0.95 else "no such type" for _ in range(chance.randint(1, 20)))
    return [
        {**AN_EVENT, "app_name": app, "event_type": kind, "event_id": str(uuid.UUID(int=chance.getrandbits(128)))}
        for kind in kinds
    ]


def _send(
    session: requests.Session, url: str, key: str, batch: list[dict[str, str]], ledger: Ledger, gate: threading.Lock
) -> bool:
    event_ids = [event["event_id"] for event in batch]
    bad = [event["event_id"] for event in batch if event["event_type"] != "visit"]
    headers = {"Authorization": f"Bearer {key}"}
    try:
        answer = session.post(f"{url}/api/events", json=batch, headers=headers, timeout=60)
        named = [event_ids[error["index"]] for error in answer.json()["errors"]] if answer.status_code == 202 else bad
    except (requests.RequestException, ValueError):
        with gate:
            ledger.note(None, event_ids, bad)
        return False
    assert named == bad or answer.status_code != 202
    with gate:
        ledger.note(answer.status_code, event_ids, bad)
    return True


@contextmanager
def running_stack(home: Path, env: Mapping[str, str], port: int) -> Iterator[tuple[Stack, str]]:
    """Make a home folder with a schema and a key, bring its processes up, and end them with the block."""
    made = {**env, "FOOTFALL_HOME": str(home)}
    create = [str(PROGRAMS / "footfall"), "keys", "create", "--scope", "server"]
    subprocess.run([create[0], "migrate"], env=made, check=True, capture_output=True, timeout=120)
    key = subprocess.run(create, env=made, check=True, capture_output=True, text=True, timeout=120).stdout.strip()
    with ExitStack() as at_end:
        stack = Stack(home, env, port)
        at_end.callback(stack.stop)
        stack.make_whole()
        yield stack, key
