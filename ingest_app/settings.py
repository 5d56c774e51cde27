"""What the write side is told by its environment, read once at start. No other module reads `os.environ`."""

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class IngestSettings(BaseSettings):
    """The settings of one ingest process. All missing ones are named at once when it is made."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    database_url: str = Field(min_length=1)
    """A libpq URL; environment `DATABASE_URL`."""

    footfall_secret: str = Field(min_length=1)
    """The key of the IP and user-agent hashes; environment `FOOTFALL_SECRET`."""
