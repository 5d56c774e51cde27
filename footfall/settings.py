"""What the command line is told: home folder, database, ports, secret. No other module of it reads the environment."""

import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from footfall.errors import HomeNotWritable, WrongSetting
from warehouse.archive.address import absolute_address


class Settings(BaseSettings):
    """The environment of INTERFACES.md; every value has a default that works on a fresh machine."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True)

    home: Path = Field(Path(".footfall"), validation_alias="FOOTFALL_HOME")
    database_url: str | None = Field(None, validation_alias="DATABASE_URL")
    ingest_port: int = Field(8000, validation_alias="FOOTFALL_INGEST_PORT", ge=1, le=65535)
    admin_port: int = Field(8001, validation_alias="FOOTFALL_ADMIN_PORT", ge=1, le=65535)
    dagster_port: int = Field(3000, validation_alias="FOOTFALL_DAGSTER_PORT", ge=1, le=65535)
    secret: str | None = Field(None, validation_alias="FOOTFALL_SECRET")
    archive_address: str | None = Field(None, validation_alias="FOOTFALL_ARCHIVE")

    @property
    def warehouse_path(self) -> Path:
        """The DuckDB file that one process writes."""
        return self.home / "warehouse" / "warehouse.duckdb"

    @property
    def published_path(self) -> Path:
        """The DuckDB file that everybody reads."""
        return self.home / "warehouse" / "analytics.duckdb"


def load_settings(home: Path | None = None) -> Settings:
    """Read the environment as `read_settings` does, and make the home folder. Raises also HomeNotWritable."""
    settings = read_settings(home)
    _make_home(settings.home)
    return settings


def read_settings(home: Path | None = None) -> Settings:
    """Read the environment; `home` (the option `--home`) goes before it. Its path becomes absolute, nothing is made.

    For those who only read the home folder. Raises WrongSetting, which names all wrong ones.
    """
    given: dict[str, Any] = {"FOOTFALL_HOME": home} if home else {}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        faults = (f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise WrongSetting("; ".join(faults)) from None
    if len({settings.ingest_port, settings.admin_port, settings.dagster_port}) < 3:
        raise WrongSetting("FOOTFALL_INGEST_PORT, FOOTFALL_ADMIN_PORT and FOOTFALL_DAGSTER_PORT must differ")
    absolute = {
        "home": settings.home.expanduser().absolute(),
        "archive_address": absolute_address(settings.archive_address, os.environ),
    }
    return settings.model_copy(update=absolute)


def read_secret(settings: Settings) -> str:
    """Return the key of the IP hashes: the one given, else the home folder's, made at first use (mode 0600)."""
    if settings.secret:
        return settings.secret
    path = settings.home / "secret"
    if not path.exists():
        _make_secret(path)
    return path.read_text().strip()


def _make_secret(path: Path) -> None:
    """Write it whole before it has its name, so that nobody ever reads half of it; the first of two that try wins."""
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=".secret")  # mode 0600
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
        with suppress(FileExistsError):
            os.link(made, path)
    finally:
        os.unlink(made)


def _make_home(home: Path) -> None:
    try:
        home.mkdir(parents=True, exist_ok=True)
        probe = home / ".writable"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise HomeNotWritable(home, error.strerror or str(error)) from None
