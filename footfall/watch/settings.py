"""What watching is told by its environment: where alerts go, where ingest is. Home and database: `footfall.settings`.

An address of a webhook and the password of a mail server are secrets: no error and no log names them.
"""

import socket
from pathlib import Path
from typing import Self
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from footfall.errors import WrongSetting


class WatchSettings(BaseSettings):
    """Where alerts go; with none of it they are in `logs/watch.log` and in `footfall status` alone."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    webhook: str | None = Field(None, validation_alias="FOOTFALL_ALERT_WEBHOOK", repr=False)
    email: str | None = Field(None, validation_alias="FOOTFALL_ALERT_EMAIL", repr=False)
    email_from: str | None = Field(None, validation_alias="FOOTFALL_ALERT_FROM", repr=False)
    smtp_url: str | None = Field(None, validation_alias="FOOTFALL_SMTP_URL", repr=False)
    ingest_url: str | None = Field(None, validation_alias="FOOTFALL_INGEST_URL")
    metrics_folder: Path | None = Field(None, validation_alias="PROMETHEUS_MULTIPROC_DIR")

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.webhook and not _is_url(self.webhook, "http", "https"):
            raise ValueError("FOOTFALL_ALERT_WEBHOOK is no http:// or https:// address")
        if self.ingest_url and not _is_url(self.ingest_url, "http", "https"):
            raise ValueError("FOOTFALL_INGEST_URL is no http:// or https:// address")
        if self.smtp_url and not _is_url(self.smtp_url, "smtp", "smtps"):
            raise ValueError("FOOTFALL_SMTP_URL is not like smtp://user:password@host:port, or smtps://…")
        if bool(self.email) != bool(self.smtp_url):
            raise ValueError("FOOTFALL_ALERT_EMAIL and FOOTFALL_SMTP_URL go together: one of them is not set")
        if not all(map(_is_address, (*self.recipients, self.sender))):
            raise ValueError("FOOTFALL_ALERT_EMAIL or FOOTFALL_ALERT_FROM names what is no e-mail address")
        return self

    @property
    def recipients(self) -> tuple[str, ...]:
        """Who gets mail."""
        return tuple(one.strip() for one in (self.email or "").split(",") if one.strip())

    @property
    def sender(self) -> str:
        """Who mail is from."""
        return self.email_from or f"footfall@{socket.gethostname()}"


def load_watch_settings() -> WatchSettings:
    """Read the environment. Raises WrongSetting, which says what is wrong and not what was given."""
    try:
        return WatchSettings()
    except ValidationError as error:
        faults = (fault["msg"].removeprefix("Value error, ") for fault in error.errors(include_input=False))
        raise WrongSetting("; ".join(faults)) from None


def read_login(url: str) -> tuple[str, str]:
    """Return user and password of a URL; both empty where it has none."""
    parts = urlsplit(url)
    return unquote(parts.username or ""), unquote(parts.password or "")


def _is_url(text: str, *schemes: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False  # a port that is no number


def _is_address(text: str) -> bool:
    name, at, host = text.partition("@")
    return bool(name and at and host) and not any(letter.isspace() or letter in "<>,;" for letter in text)
