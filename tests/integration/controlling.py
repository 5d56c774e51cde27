"""What tests of keys and switches share: new keys, a worker's watch, an absent Postgres, waiting for a condition."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import psycopg

from ingest_app.admin_settings import set_setting
from ingest_app.control import MARK_USED_SECONDS, ControlWatch
from ingest_app.database import make_engine
from ingest_app.keys import create_key, revoke_key

DEADLINE_SECONDS = 30.0

Found = TypeVar("Found")


def wait_until(find: Callable[[], Found], what: str) -> Found:
    """Return what `find` finds, once it is true."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := find()):
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.005)
    return found


def new_key(database_url: str, scope: str = "write", origins: tuple[str, ...] = (), rate: int = 1_000) -> str:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        key = create_key(connection, scope, None, origins, rate)
    engine.dispose()
    return key


def revoke(database_url: str, key_id: int) -> None:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        assert revoke_key(connection, key_id)
    engine.dispose()


def switch(database_url: str, value: str, setting: str = "tracking_enabled") -> float:
    """Set a setting as `footfall settings set` does; return the moment at which it was committed."""
    engine = make_engine(database_url)
    with engine.begin() as connection:
        set_setting(connection, setting, value, "a test")
    committed_at = time.monotonic()
    engine.dispose()
    return committed_at


@contextmanager
def watching(database_url: str, folder: Path, mark_used_seconds: float = MARK_USED_SECONDS) -> Iterator[ControlWatch]:
    """The watch of one more worker on this spool folder."""
    watch = ControlWatch(make_engine(database_url, pool_size=1), folder / "control.json", mark_used_seconds)
    try:
        yield watch
    finally:
        watch.close()


@contextmanager
def postgres_away(server_url: str, database: psycopg.Connection) -> Iterator[None]:
    """Let nobody into this database, as if its server were gone; `database` itself stays."""
    name = database.info.dbname
    others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s AND pid <> %s"
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS false')
        connection.execute(others, [name, database.info.backend_pid])
        yield
        connection.execute(f'ALTER DATABASE "{name}" ALLOW_CONNECTIONS true')
