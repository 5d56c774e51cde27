"""What the write side is told by its environment, read once at start. No other module reads `os.environ`."""

from pathlib import Path
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class IngestSettings(BaseSettings):
    """The settings of one ingest process. All missing ones are named at once when it is made."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    database_url: str = Field(min_length=1)
    """A libpq URL; environment `DATABASE_URL`."""

    footfall_secret: str = Field(min_length=1)
    """The key of the IP and user-agent hashes; environment `FOOTFALL_SECRET`."""

    footfall_home: Path = Path(".footfall")
    """The home folder; the spools are in its `spool/`."""

    footfall_spool_reserve_mb: int = Field(200, ge=0)
    """How much of the disk stays free: with less, posts are answered 503."""

    footfall_trusted_proxies: int = Field(0, ge=0)
    """How many proxies stand before ingest: so many entries of `X-Forwarded-For` are believed."""

    footfall_country_header: str | None = None
    """A header in which the trusted proxy states the sender's country, such as `CF-IPCountry`."""

    footfall_country_table: Path | None = None
    """A table of addresses and countries in Tor's `geoip` format: a file, or a folder with `geoip` and `geoip6`."""

    prometheus_multiproc_dir: Path | None = None
    """Where processes count together; prometheus_client reads it too. Without it each counts for itself."""

    @model_validator(mode="after")
    def _header_needs_proxy(self) -> Self:
        if self.footfall_country_header and not self.footfall_trusted_proxies:
            raise ValueError(
                "FOOTFALL_COUNTRY_HEADER needs FOOTFALL_TRUSTED_PROXIES: without a proxy anybody could state a country"
            )
        return self

    @property
    def spool_folder(self) -> Path:
        """Where accepted records wait for Postgres."""
        return self.footfall_home / "spool"
