"""What the read side is told by its environment, read once at start. No other module reads `os.environ`."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class AdminSettings(BaseSettings):
    """The settings of one admin process. All missing ones are named at once when it is made."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    database_url: str = Field(min_length=1)
    """A libpq URL; environment `DATABASE_URL`."""

    footfall_secret: str = Field(min_length=1)
    """What sessions are signed with, by a key derived from it; environment `FOOTFALL_SECRET`."""

    footfall_home: Path = Path(".footfall")
    """Where the published file is; environment `FOOTFALL_HOME`."""

    footfall_trusted_proxies: int = Field(0, ge=0)
    """How many proxies stand before the page: so many entries of `X-Forwarded-For` and `-Proto` are believed."""

    footfall_ingest_url: str | None = None
    """Where apps post to, as they know it; without it the port on this machine."""

    footfall_ingest_port: int = Field(8000, ge=1, le=65535)
    """Where `footfall up` lets the write side listen."""

    @property
    def ingest_url(self) -> str:
        """Where apps post to, without a slash at its end."""
        return (self.footfall_ingest_url or f"http://127.0.0.1:{self.footfall_ingest_port}").rstrip("/")

    @property
    def published_path(self) -> Path:
        """The DuckDB file that everybody reads."""
        return self.footfall_home / "warehouse" / "analytics.duckdb"

    @property
    def cache_folder(self) -> Path:
        """What the page makes for itself and can make again."""
        return self.footfall_home / "cache"
