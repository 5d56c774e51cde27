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
from typing import Literal

from sqlalchemy import Connection, Engine

from footfall.dagster_home import code_socket, dagster_environment, workspace_path
from footfall.errors import EmbeddedPostgresFailed, HomeInUse, RoleNeedsSettings
from footfall.postgres import embedded_postgres, is_running, start_server
from footfall.processes import CHILD_OF, Child, end_leftovers, require_free_port, stop_all
from footfall.settings import Settings, read_secret
from ingest_app.database import connect, make_engine
from ingest_app.logs import CONFIG as LOG_CONFIG
from ingest_app.migrate import migrate, require_current

INGEST_WORKERS = 2
READY_SECONDS = 90.0
WATCH_SECONDS = 0.5

# the part that a host has where several make one footfall; all but the write side runs once, on the warehouse's host
Role = Literal["ingest", "warehouse"]
WRITE_SIDE = {"drainer", "ingest"}
CODE_SERVER = "dagster-code"

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
def running_stack(settings: Settings, stop: threading.Event, only: Role | None = None) -> Iterator[Stack]:
    """Bring all up, or a role's part, yield once everything answers, and take it down at the end, whatever that is.

    `stop` is set by Ctrl-C, SIGTERM and a closed terminal, also while it comes up: what is yielded then may not be
    whole. Raises what keeps it from coming up:
    PortTaken, HomeInUse, DatabaseUnreachable, SchemaTooNew, ChildNotReady, RoleNeedsSettings.
    """
    if only:
        _require_shared(settings, only)
    with _only_one(settings.home), _signals_set(stop):
        if ended := end_leftovers(settings.home):
            log.warning("ended %d processes that an earlier footfall had left running", ended)
        _require_ports(settings, only)
        with open_database(settings) as database_url:
            children = _children(settings, _prepared(settings, database_url, only), only)
            watcher = threading.Thread(target=_watch, args=(settings, children, stop), name="watch children")
            try:
                for child in children:
                    child.start()
                    if child.name == CODE_SERVER:
                        # what is started after it asks it at once, and complains where nobody answers
                        child.wait_ready(READY_SECONDS, stop)
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


def _prepared(settings: Settings, database_url: str, only: Role | None) -> Mapping[str, str]:
    """Prepare the database for the children, and return what their environment says of it.

    Where the write side runs alone it asks Postgres nothing: a host that starts while Postgres is away accepts.
    """
    if only == "ingest":
        return {"FOOTFALL_HOME": str(settings.home), "DATABASE_URL": database_url}
    _migrate(database_url)
    return dagster_environment(settings.home, database_url, settings.archive_address)


def _migrate(database_url: str) -> None:
    engine = make_engine(database_url)
    try:
        with connect(engine) as connection:
            migrate(connection)
    finally:
        engine.dispose()


def _children(settings: Settings, prepared: Mapping[str, str], only: Role | None) -> list[Child]:
    env = {**os.environ, **prepared, "FOOTFALL_SECRET": read_secret(settings), CHILD_OF: str(settings.home)}
    counting = {**env, "PROMETHEUS_MULTIPROC_DIR": str(_empty_metrics(settings.home))}
    ingest, admin, dagster = (_url(port) for port in _ports(settings))
    # threads' heaps of their own keep what one of them needed once: the web server has dozens
    dagster_env = {**env, "MALLOC_ARENA_MAX": "2"}
    code = f"unix:{code_socket(settings.home)}"
    workspace = ("-w", str(workspace_path(settings.home)))
    web = (_program("dagster-webserver"), "-h", "127.0.0.1", "-p", str(settings.dagster_port), *workspace)
    daemon = (_program("dagster-daemon"), "run", *workspace)
    drain = (sys.executable, "-m", "ingest_app.drain")
    children = [
        Child("drainer", drain, counting, _log(settings, "drainer")),
        _web_app(settings, counting, "ingest", "ingest_app.app:create_app", settings.ingest_port, f"{ingest}/healthz"),
        _web_app(settings, env, "admin", "admin_app.app:create_app", settings.admin_port, f"{admin}/healthz"),
        Child(CODE_SERVER, _code_server_command(settings.home), dagster_env, _log(settings, CODE_SERVER), code),
        Child("dagster-webserver", web, dagster_env, _log(settings, "dagster-webserver"), f"{dagster}/server_info"),
        Child("dagster-daemon", daemon, dagster_env, _log(settings, "dagster-daemon")),
        Child("watch", (sys.executable, "-m", "footfall.watch"), counting, _log(settings, "watch")),
    ]
    return [child for child in children if only is None or (child.name in WRITE_SIDE) == (only == "ingest")]


def _empty_metrics(home: Path) -> Path:
    """Make the folder in which the write side's processes count together; counters begin anew with the stack."""
    folder = home.absolute() / "metrics"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def _code_server_command(home: Path) -> tuple[str, ...]:
    """Build the command of the one process that loads the definitions, for web server, daemon and runs alike.

    It comes up also where they cannot be loaded: then the UI shows why, and all that is not Dagster's goes on.
    """
    definitions = ("-m", "pipelines.definitions", "-a", "defs", "--lazy-load-user-code")
    return (_program("dagster"), "api", "grpc", "--socket", str(code_socket(home)), *definitions)


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
    logs = ("--log-config", str(LOG_CONFIG))
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


def _require_ports(settings: Settings, only: Role | None) -> None:
    if only != "warehouse":
        require_free_port(settings.ingest_port, "ingest", "FOOTFALL_INGEST_PORT")
    if only != "ingest":
        require_free_port(settings.admin_port, "the admin page", "FOOTFALL_ADMIN_PORT")
        require_free_port(settings.dagster_port, "the Dagster UI", "FOOTFALL_DAGSTER_PORT")


def _require_shared(settings: Settings, only: Role) -> None:
    """Raise RoleNeedsSettings: what each host made for itself would be another on each."""
    shared = {"DATABASE_URL": settings.database_url, "FOOTFALL_SECRET": settings.secret}
    if missing := [name for name, value in shared.items() if not value]:
        raise RoleNeedsSettings(only, " and ".join(missing))


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
