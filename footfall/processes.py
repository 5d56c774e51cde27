"""The children of `footfall up`: started, watched, restarted with backoff, stopped in order. Knows no room by name."""

import logging
import os
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import requests

from footfall.errors import ChildNotReady, PortTaken

FIRST_BACKOFF_SECONDS = 1.0
LAST_BACKOFF_SECONDS = 30.0
# a child that lived this long was well: its next death is a first one again
HEALTHY_SECONDS = 60.0
STOP_SECONDS = 15.0

# in the environment of every child: the home folder of the `up` that started it
CHILD_OF = "FOOTFALL_CHILD_OF"

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Child:
    """One process: what to run, where its output goes, and the address (http: or unix:) that tells that it is ready."""

    name: str
    command: Sequence[str]
    env: Mapping[str, str]
    log_path: Path
    ready_url: str | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started_at: float = field(default=0.0, init=False)
    restart_at: float | None = field(default=None, init=False)
    backoff_seconds: float = field(default=FIRST_BACKOFF_SECONDS, init=False)

    def start(self) -> None:
        """Start it in a session of its own, so that Ctrl-C reaches us alone and we stop all in order."""
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        with self.log_path.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.started_at, self.restart_at = time.monotonic(), None

    def watch(self) -> None:
        """Restart it if it died: soon after a long life, later and later after short ones."""
        if self.restart_at is not None:
            if time.monotonic() >= self.restart_at:
                self._restart()
            return
        if self.process is None or self.process.poll() is None:
            return
        # what it leaves behind may hold its port
        _kill_session(self.process.pid)
        if time.monotonic() - self.started_at > HEALTHY_SECONDS:
            self.backoff_seconds = FIRST_BACKOFF_SECONDS
        log.warning(
            "%s ended with exit code %s; restarting in %.0f s (its log: %s)",
            self.name,
            self.process.returncode,
            self.backoff_seconds,
            self.log_path,
        )
        self._restart_later()

    def _restart(self) -> None:
        try:
            self.start()
        except OSError as error:
            log.warning("%s cannot be started: %s; trying again in %.0f s", self.name, error, self.backoff_seconds)
            self._restart_later()

    def _restart_later(self) -> None:
        self.restart_at = time.monotonic() + self.backoff_seconds
        self.backoff_seconds = min(self.backoff_seconds * 2, LAST_BACKOFF_SECONDS)

    def wait_ready(self, seconds: float, stop: threading.Event) -> None:
        """Wait until it answers, or `stop` is set. Raises ChildNotReady, at once if it died."""
        deadline = time.monotonic() + seconds
        while self.ready_url and not stop.is_set() and not _answers(self.ready_url):
            if time.monotonic() > deadline or (self.process and self.process.poll() is not None):
                raise ChildNotReady(self.name, time.monotonic() - self.started_at, self.log_path)
            stop.wait(0.1)

    def ask_to_stop(self) -> None:
        """Send SIGTERM."""
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def wait_stopped(self) -> None:
        """Wait for its end; what is left of its session after that is killed."""
        if self.process is None:
            return
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            log.warning("%s did not stop within %.0f s and was killed", self.name, STOP_SECONDS)
        _kill_session(self.process.pid)
        self.process.wait()


def stop_all(children: Sequence[Child]) -> None:
    """Stop the children, the last started first; each gets its time."""
    for child in reversed(children):
        child.ask_to_stop()
    for child in reversed(children):
        child.wait_stopped()


def end_leftovers(home: Path) -> int:
    """Kill what an `up` on this home left running when it was killed itself; return how many processes that were."""
    leftovers = [process for process in psutil.process_iter() if _belongs_to(process, home)]
    for process in leftovers:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(leftovers, timeout=STOP_SECONDS)
    return len(leftovers)


def _belongs_to(process: psutil.Process, home: Path) -> bool:
    try:
        return process.environ().get(CHILD_OF) == str(home)
    except psutil.Error:
        return False


def require_free_port(port: int, name: str, variable: str) -> None:
    """Raise PortTaken if something listens on this port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            raise PortTaken(port, name, variable) from None


def _answers(url: str) -> bool:
    if url.startswith("unix:"):
        return _accepts(url.removeprefix("unix:"))
    with requests.Session() as session:
        # a proxy of the environment is not for addresses of this machine
        session.trust_env = False
        return _is_ok(session, url)


def _accepts(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except OSError:
            return False
    return True


def _is_ok(session: requests.Session, url: str) -> bool:
    try:
        return session.get(url, timeout=2).ok
    except requests.RequestException:
        return False


def _kill_session(leader_pid: int) -> None:
    try:
        os.killpg(leader_pid, signal.SIGKILL)
    except ProcessLookupError:
        return
