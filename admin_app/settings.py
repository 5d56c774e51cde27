"""What the read side is told by its environment, read once at start. No other module reads `os.environ`."""

from pathlib import Path

from pydantic_settings import BaseSettings, SettingsConfigDict


class AdminSettings(BaseSettings):
    """The settings of one admin process."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    footfall_home: Path = Path(".footfall")
    """Where the published file is; environment `FOOTFALL_HOME`."""

    @property
    def published_path(self) -> Path:
        """The DuckDB file that everybody reads."""
        return self.footfall_home / "warehouse" / "analytics.duckdb"
