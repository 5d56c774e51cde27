"""The way to Postgres: one engine a process, with bounded waits. No queries here."""

from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, OperationalError

from ingest_app.errors import DatabaseUnreachable

CONNECT_TIMEOUT_SECONDS = 5
POOL_WAIT_SECONDS = 5


def make_engine(database_url: str, pool_size: int = 4) -> Engine:
    """Make the pool of a process. `database_url` is a libpq URL; psycopg 3 is the driver.

    Raises DatabaseUnreachable where the URL is none of Postgres.
    """
    try:
        url = make_url(database_url)
    except ArgumentError:
        raise DatabaseUnreachable("DATABASE_URL", "it is not a URL like postgresql://…") from None
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise DatabaseUnreachable("DATABASE_URL", "it is not a URL like postgresql://…")
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_pre_ping=True,
        connect_args={"connect_timeout": CONNECT_TIMEOUT_SECONDS, "options": "-c timezone=UTC"},
    )


def connect(engine: Engine) -> Connection:
    """Open a connection, or say in one line why there is none; the password is never shown.

    Raises DatabaseUnreachable.
    """
    try:
        return engine.connect()
    except OperationalError as error:
        reason = " ".join(str(error.orig).split())
        raise DatabaseUnreachable(engine.url.set(drivername="postgresql").render_as_string(), reason) from error
