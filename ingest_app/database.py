"""The way to Postgres: one engine a process, with bounded waits. No queries here."""

from sqlalchemy import Connection, Engine, create_engine, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from ingest_app.errors import DatabaseUnreachable

CONNECT_TIMEOUT_SECONDS = 5
VANISHED_TIMEOUT_MS = 15_000
POOL_WAIT_SECONDS = 5


# for who drains: a drained spool is removed, so its rows are on the server's disk first, whatever that is set to. No
# batch takes too long
DRAINING = "-c lock_timeout=5s -c synchronous_commit=on"
# for who looks often at little: a server that hangs must not be taken for one that answers
WATCHING = "-c lock_timeout=2s -c statement_timeout=2s"
# for a server that answers requests: who waits for a lock holds a connection that others need
SERVING = "-c lock_timeout=5s -c statement_timeout=30s"


def make_engine(database_url: str, pool_size: int = 4, options: str = "", is_bare: bool = False) -> Engine:
    """Make the pool of a process. `database_url` is a libpq URL; psycopg 3 is the driver.

    `options` go to each session, after those of the URL. A bare one is in autocommit, and neither asks whether a
    connection still lives nor tidies up behind it. Raises DatabaseUnreachable where the URL is none of Postgres.
    """
    try:
        url = make_url(database_url)
    except (ArgumentError, ValueError):
        raise DatabaseUnreachable("DATABASE_URL", "it is not a URL like postgresql://…") from None
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise DatabaseUnreachable("DATABASE_URL", "it is not a URL like postgresql://…")
    given = " ".join(_words(url.query.get("options", "")))
    return create_engine(
        url.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=POOL_WAIT_SECONDS,
        pool_pre_ping=not is_bare,
        **({"isolation_level": "AUTOCOMMIT", "pool_reset_on_return": None} if is_bare else {}),
        # an error's text may end in a log, and parameters are people's data
        hide_parameters=True,
        connect_args={
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            # a server that vanished without a word: the kernel alone would go on sending for a quarter of an hour
            "tcp_user_timeout": VANISHED_TIMEOUT_MS,
            "options": f"{given} -c timezone=UTC {options}",
        },
    )


def connect(engine: Engine) -> Connection:
    """Open a connection, or say in one line why there is none; the password is never shown.

    Raises DatabaseUnreachable.
    """
    try:
        return engine.connect()
    except DBAPIError as error:
        reason = " ".join(str(error.orig).split())
        # libpq takes passwords there too, which SQLAlchemy does not hide
        url = engine.url.set(drivername="postgresql").difference_update_query(["password", "sslpassword"])
        raise DatabaseUnreachable(url.render_as_string(), reason) from error


def is_away(error: Exception) -> bool:
    """Tell an absent Postgres from one that refuses: the first sends no SQLSTATE, or one of its end or its start."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    return state is None or state.startswith(("08", "57P"))


def _words(option: str | tuple[str, ...]) -> tuple[str, ...]:
    return (option,) if isinstance(option, str) else option
