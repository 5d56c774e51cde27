"""The local stack: a database, the schema, and the children that make footfall, up together and down together."""

import fcntl
import logging
import os
import shutil
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection, Engine

from footfall.dagster_home import dagster_environment
from footfall.errors import EmbeddedPostgresFailed, HomeInUse
from footfall.postgres import embedded_postgres, is_running, start_server
from footfall.processes import CHILD_OF, Child, end_leftovers, require_free_port, stop_all
from footfall.settings import Settings, read_secret
from ingest_app.database import connect, make_engine
from ingest_app.logs import CONFIG as LOG_CONFIG
from ingest_app.migrate import migrate, require_current

WORKSPACE = Path(__file__).parents[1] / "workspace.yaml"
INGEST_WORKERS = 2
READY_SECONDS = 90.0
WATCH_SECONDS = 0.5

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stack:
    """What runs, and where."""

    settings: Settings
    database_url: str
    ingest_url: str
    admin_url: str
    dagster_url: str


@contextmanager
def open_database(settings: Settings) -> Iterator[str]:
    """Yield the URL of the database: the server that DATABASE_URL names, else the home folder's embedded one."""
    if settings.database_url:
        yield settings.database_url
        return
    with embedded_postgres(settings.home / "postgres") as url:
        yield url


@contextmanager
def open_engine(settings: Settings) -> Iterator[Engine]:
    """Yield an engine on the database, for a command that needs a few queries."""
    with open_database(settings) as url:
        engine = make_engine(url)
        try:
            yield engine
        finally:
            engine.dispose()


@contextmanager
def open_current(settings: Settings) -> Iterator[Connection]:
    """Yield a transaction on the database, for a command; it must have this version's schema.

    Raises DatabaseUnreachable, SchemaNotMigrated, SchemaTooNew.
    """
    with open_engine(settings) as engine, connect(engine) as connection, connection.begin():
        require_current(connection)
        yield connection


@contextmanager
def running_stack(settings: Settings, stop: threading.Event) -> Iterator[Stack]:
    """Bring all up, yield once everything answers, and take all down at the end, whatever that end is.

    `stop` is set by Ctrl-C, SIGTERM and a closed terminal, also while it comes up: what is yielded then may not be
    whole. Raises what keeps it from coming up:
    PortTaken, HomeInUse, DatabaseUnreachable, SchemaTooNew, ChildNotReady.
    """
    # here, for it imports dagster, which takes seconds that no other command should wait
    from pipelines.orphans import fail_orphaned_runs

    with _only_one(settings.home), _signals_set(stop):
        if ended := end_leftovers(settings.home):
            log.warning("ended %d processes that an earlier footfall had left running", ended)
        _require_ports(settings)
        with open_database(settings) as database_url:
            _migrate(database_url)
            dagster = dagster_environment(settings.home, database_url, settings.archive_address)
            fail_orphaned_runs(dagster)
            children = _children(settings, dagster)
            watcher = threading.Thread(target=_watch, args=(settings, children, stop), name="watch children")
            try:
                for child in children:
                    child.start()
                for child in children:
                    child.wait_ready(READY_SECONDS, stop)
                watcher.start()
                yield Stack(settings, database_url, *(_url(port) for port in _ports(settings)))
            finally:
                stop.set()
                if watcher.ident:
                    watcher.join()
                # the drainer last: it takes to Postgres what the others still accepted
                stop_all(children[1:])
                stop_all(children[:1])


def _migrate(database_url: str) -> None:
    engine = make_engine(database_url)
    try:
        with connect(engine) as connection:
            migrate(connection)
    finally:
        engine.dispose()


def _children(settings: Settings, dagster_env: Mapping[str, str]) -> list[Child]:
    env = {**os.environ, **dagster_env, "FOOTFALL_SECRET": read_secret(settings), CHILD_OF: str(settings.home)}
    counting = {**env, "PROMETHEUS_MULTIPROC_DIR": str(_empty_metrics(settings.home))}
    ingest, admin, dagster = (_url(port) for port in _ports(settings))
    workspace = ("-w", str(WORKSPACE))
    web = (_program("dagster-webserver"), "-h", "127.0.0.1", "-p", str(settings.dagster_port), *workspace)
    drain = (sys.executable, "-m", "ingest_app.drain")
    return [
        Child("drainer", drain, counting, _log(settings, "drainer")),
        _web_app(settings, counting, "ingest", "ingest_app.app:create_app", settings.ingest_port, f"{ingest}/healthz"),
        _web_app(settings, env, "admin", "admin_app.app:create_app", settings.admin_port, f"{admin}/healthz"),
        Child("dagster-webserver", web, env, _log(settings, "dagster-webserver"), f"{dagster}/server_info"),
        Child("dagster-daemon", (_program("dagster-daemon"), "run", *workspace), env, _log(settings, "dagster-daemon")),
    ]


def _empty_metrics(home: Path) -> Path:
    """Make the folder in which the write side's processes count together; counters begin anew with the stack."""
    folder = home.absolute() / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def serve_command(target: str, port: int, workers: int) -> tuple[str, ...]:
    """Build the command that serves a WSGI factory on a port of 127.0.0.1."""
    return (
        *(_program("granian"), "--interface", "wsgi", "--factory", target),
        *("--host", "127.0.0.1", "--port", str(port)),
        # no app here speaks WebSocket, for which each connection would be prepared
        *("--workers", str(workers), "--respawn-failed-workers", "--no-ws"),
        # a worker that is told to stop while it starts never hears it, and granian would wait for it for ever
        *("--workers-kill-timeout", "5"),
    )


def _web_app(settings: Settings, env: Mapping[str, str], name: str, target: str, port: int, ready: str) -> Child:
    workers = INGEST_WORKERS if name == "ingest" else 1
    logs = ("--log-config", str(LOG_CONFIG)) if name == "ingest" else ()
    return Child(name, (*serve_command(target, port, workers), *logs), env, _log(settings, name), ready)


def _program(name: str) -> str:
    """Find a console script of this very environment, activated or not."""
    return str(Path(sys.executable).with_name(name))


def _log(settings: Settings, name: str) -> Path:
    return settings.home / "logs" / f"{name}.log"


def _ports(settings: Settings) -> tuple[int, int, int]:
    return settings.ingest_port, settings.admin_port, settings.dagster_port


def _url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


def _require_ports(settings: Settings) -> None:
    names = (("ingest", "FOOTFALL_INGEST_PORT"), ("the admin page", "FOOTFALL_ADMIN_PORT"))
    dagster = ("the Dagster UI", "FOOTFALL_DAGSTER_PORT")
    for port, (name, variable) in zip(_ports(settings), (*names, dagster), strict=True):
        require_free_port(port, name, variable)


def _watch(settings: Settings, children: list[Child], stop: threading.Event) -> None:
    while not stop.wait(WATCH_SECONDS):
        _watch_postgres(settings)
        for child in children:
            child.watch()


def _watch_postgres(settings: Settings) -> None:
    """Start the embedded Postgres again if it died; it then makes itself whole from its log."""
    folder = settings.home / "postgres"
    if settings.database_url or is_running(folder):
        return
    log.warning("Postgres ended; starting it again (its log: %s)", folder / "log")
    try:
        start_server(folder)
    except EmbeddedPostgresFailed as error:
        log.warning("%s", error)


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    """Hold the home folder's lock, which goes with the process. Raises HomeInUse."""
    with (home / "up.lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise HomeInUse(home, lock.read().strip()) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


@contextmanager
def _signals_set(stop: threading.Event) -> Iterator[None]:
    def on_signal(*_: object) -> None:
        stop.set()

    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup asks to go on when the terminal closes
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
