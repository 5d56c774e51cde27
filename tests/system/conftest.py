"""The command line as a user has it: the console script, in a folder of its own, on ports of its own."""

import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
import pytest

PROGRAM = str(Path(sys.executable).with_name("footfall"))
DEADLINE_SECONDS = 120
# a refresh that parses the models beside other tests takes a minute and more
RUN_SECONDS = 240


@dataclass
class Running:
    """A running command: its output so far, and a way to wait for a line of it."""

    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self.changed:
                self.lines.append(line)
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Return the first match of a line; fail with the whole output if none comes."""

        def found() -> re.Match[str] | None:
            return next((match for line in self.lines if (match := re.search(pattern, line))), None)

        with self.changed:
            self.changed.wait_for(lambda: found() or self.process.poll() is not None, DEADLINE_SECONDS)
            match = found()
        assert match, f"no line like {pattern!r} in:\n{''.join(self.lines)}"
        return match


@dataclass(frozen=True)
class Footfall:
    """The console script with a home folder, free ports and, if the test has one, a real database."""

    home: Path
    env: dict[str, str]

    def run(self, *arguments: str, timeout: float = RUN_SECONDS, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [PROGRAM, *arguments],
            env={**self.env, **env},
            cwd=self.home.parent,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.env[f'FOOTFALL_{name.upper()}_PORT']}"

    def processes(self) -> list[psutil.Process]:
        """Return whatever runs with this home folder, however it was started."""
        return [process for process in psutil.process_iter() if self._is_ours(process)]

    def _is_ours(self, process: psutil.Process) -> bool:
        try:
            command = process.cmdline()
            return str(self.home) in " ".join(command) or process.environ().get("FOOTFALL_HOME") == str(self.home)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for homes. Not pytest's, which another run of root's tests shuts to Postgres's own user as it starts."""
    with TemporaryDirectory(prefix="footfall-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@pytest.fixture
def footfall(folder: Path) -> Iterator[Footfall]:
    """The command line on an embedded Postgres, or on the server that DATABASE_URL names (its own database)."""
    yield from _footfall(folder, {})


@pytest.fixture
def footfall_on_server(folder: Path, empty_database_url: str) -> Iterator[Footfall]:
    """The command line on a database of the test's server, given by DATABASE_URL."""
    yield from _footfall(folder, {"DATABASE_URL": empty_database_url})


@pytest.fixture
def migrated(folder: Path, database_url: str) -> Iterator[Footfall]:
    """The command line on a migrated database of the test's server."""
    yield from _footfall(folder, {"DATABASE_URL": database_url})


@pytest.fixture
def start(request: pytest.FixtureRequest) -> Iterator[Callable[..., Running]]:
    """Start a long-running command; it is ended with the test, if the test did not."""
    started: list[Running] = []

    def run(footfall: Footfall, *arguments: str) -> Running:
        running = Running(_spawn(footfall, *arguments))
        threading.Thread(target=running.read, daemon=True).start()
        started.append(running)
        return running

    yield run
    for running in started:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGTERM)
        running.process.wait(60)
        assert running.process.stdout is not None
        running.process.stdout.close()


@contextmanager
def starting(footfall: Footfall, *options: str) -> Iterator[Running]:
    """Run `footfall up`, which is not up yet, and end it by SIGTERM; all that it said is in its lines then."""
    up = Running(_spawn(footfall, "up", *options))
    assert up.process.stdout is not None
    with up.process.stdout:
        reader = threading.Thread(target=up.read)
        reader.start()
        try:
            yield up
        finally:
            up.process.terminate()
            up.process.wait(DEADLINE_SECONDS)
            reader.join()


def _spawn(footfall: Footfall, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [PROGRAM, *arguments],
        env={**footfall.env, "PYTHONUNBUFFERED": "1"},
        cwd=footfall.home.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _footfall(folder: Path, extra: dict[str, str]) -> Iterator[Footfall]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_")}
    env.pop("DATABASE_URL", None)
    ports = dict(zip(("INGEST", "ADMIN", "DAGSTER"), _free_ports(3), strict=True))
    home = folder / "home"
    footfall = Footfall(
        home,
        {
            **env,
            **extra,
            "FOOTFALL_HOME": str(home),
            **{f"FOOTFALL_{name}_PORT": str(port) for name, port in ports.items()},
        },
    )
    yield footfall
    for process in footfall.processes():
        process.kill()


def _free_ports(number: int) -> list[int]:
    sockets = [socket.socket() for _ in range(number)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
