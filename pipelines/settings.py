"""What the orchestration is told by its environment: read once, checked, frozen, passed down.

The only module of this room that reads or writes the environment. No paths are made here.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from pipelines.errors import SettingsInvalid, SettingsMissing
from warehouse.archive.address import absolute_address


class Settings(BaseSettings):
    """What FOOTFALL_HOME, DATABASE_URL (a libpq URL, required), FOOTFALL_ARCHIVE (a folder or s3://…) and others say.

    FOOTFALL_ENGINE builds the models, `duckdb` or `spark`; FOOTFALL_SPARK_MASTER is the address of Spark's cluster.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore")

    footfall_home: Path = Path(".footfall")
    database_url: str = Field(repr=False, min_length=1)
    footfall_archive: str | None = None
    footfall_engine: Literal["duckdb", "spark"] = "duckdb"
    footfall_spark_master: str = "local[*]"

    @field_validator("footfall_home")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.absolute()

    @field_validator("footfall_archive")
    @classmethod
    def _absolute_archive(cls, value: str | None) -> str | None:
        return absolute_address(value, os.environ)

    @property
    def archive_address(self) -> str | None:
        """Where sealed days are kept; None: in the home folder."""
        return self.footfall_archive

    @property
    def engine(self) -> Literal["duckdb", "spark"]:
        """What builds the models."""
        return self.footfall_engine

    @property
    def spark_master(self) -> str:
        """Where Spark's cluster is: `spark://host:port`, `yarn`, `k8s://…`, or `local[*]`, which is in this process."""
        return self.footfall_spark_master

    @property
    def environment(self) -> dict[str, str]:
        """The same settings as an environment, for what reads nothing else: dbt's profile, child processes."""
        return {
            "FOOTFALL_HOME": str(self.footfall_home),
            "DATABASE_URL": self.database_url,
            "FOOTFALL_ARCHIVE": self.footfall_archive or "",
            "FOOTFALL_ENGINE": self.footfall_engine,
            "FOOTFALL_SPARK_MASTER": self.footfall_spark_master,
        }

    @property
    def warehouse_path(self) -> Path:
        """The file that one process at a time writes."""
        return self.footfall_home / "warehouse" / "warehouse.duckdb"

    @property
    def published_path(self) -> Path:
        """The file that people read."""
        return self.footfall_home / "warehouse" / "analytics.duckdb"

    @property
    def dbt_folder(self) -> Path:
        """Where dbt leaves what it makes: the parsed project, compiled SQL, its log."""
        return self.footfall_home / "dbt"

    @property
    def dagster_folder(self) -> Path:
        """The home of the Dagster instance: its `dagster.yaml`, logs of runs."""
        return self.footfall_home / "dagster"


def load_settings() -> Settings:
    """Read the settings from the environment.

    Raises SettingsMissing, which names all that are missing at once, or SettingsInvalid.
    """
    try:
        return Settings()
    except ValidationError as error:
        names = [str(problem["loc"][0]).upper() for problem in error.errors()]
        missing = [str(problem["loc"][0]).upper() for problem in error.errors() if problem["type"] == "missing"]
        raise (SettingsMissing(missing) if missing else SettingsInvalid(names)) from None


def adopt(environment: Mapping[str, str]) -> None:
    """Make `environment` this process's own: Dagster's instance and dbt's profile read theirs from it only."""
    os.environ.update(environment)
