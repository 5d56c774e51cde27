"""What a worker reads from, made once by `create_app` and shared by all its requests."""

from dataclasses import dataclass

from flask import current_app
from sqlalchemy import Engine

from admin_app.errors import PostgresAway
from admin_app.known_keys import KnownKeys
from admin_app.live import Live
from admin_app.published import Published
from admin_app.settings import AdminSettings
from ingest_app.database import SERVING, WATCHING, make_engine


@dataclass(frozen=True, slots=True)
class Sources:
    """The parts of one worker. Every number comes from `published` or `live`."""

    settings: AdminSettings
    published: Published
    live: Live
    changing: Engine

    @property
    def engine(self) -> Engine:
        """For what changes something, and lists what may be changed. Raises PostgresAway rather than wait for it."""
        if self.live.is_stale:
            raise PostgresAway
        return self.changing

    def close(self) -> None:
        """Let go of files and connections."""
        self.live.close()
        self.published.close()
        self.changing.dispose()


def make_sources(settings: AdminSettings) -> Sources:
    """Open them; neither Postgres nor the file need be there."""
    watching = make_engine(settings.database_url, pool_size=1, options=WATCHING)
    return Sources(
        settings=settings,
        published=Published(settings.published_path),
        live=Live(watching, KnownKeys(settings.cache_folder / "keys.json")),
        changing=make_engine(settings.database_url, options=SERVING),
    )


def sources() -> Sources:
    """Return those of the app that answers this request."""
    found: Sources = current_app.extensions["footfall"]
    return found
