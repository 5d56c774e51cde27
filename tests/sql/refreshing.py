"""Refreshes without Dagster: the real load, then the models, built as `pipelines` builds them. No rows here."""

import shutil
from dataclasses import dataclass, replace

from tests.sql.conftest import Models, Rows, messages
from warehouse.archive.sources import prepare_sources
from warehouse.builds import begin_build, finish_build
from warehouse.load import load

# all that is built day by day, with what it reads and what is made of it, and the checks that look at nothing else
BY_DAY = (
    *("--select", "+config.incremental_strategy:replace_days", "rpt_document_opens", "rpt_monthly_logins"),
    *("--indirect-selection", "buildable"),
)


@dataclass(frozen=True)
class Refreshed:
    """A home whose warehouse follows one Postgres."""

    models: Models
    database_url: str
    timezone: str = "UTC"

    def load(self, *, full: bool = False) -> None:
        """Load what is new."""
        load(self.database_url, self.models.warehouse_path, full=full, compare_keys=True)

    def build(self, *, command: str = "build", models_version: str = "1") -> dict[str, str]:
        """Build what is touched, and check it unless `command` is run; return what did not go well, by name."""
        path = self.models.warehouse_path
        prepare_sources(path)
        touched = begin_build(path, "a build", models_version=models_version)
        bad = self._dbt(command, *(["--full-refresh"] if touched is None else []))
        if not bad:
            finish_build(path, "a build")
        return bad

    def refresh(self, **options: str) -> None:
        """Load, build and check; fail with dbt's own words."""
        self.load()
        assert self.build(**options) == {}

    def rebuild(self) -> None:
        """Build all from the start, whatever is touched."""
        assert self._dbt("run", "--full-refresh") == {}

    def copy(self) -> "Refreshed":
        """Copy the warehouse into another home; its sealed files are those of this one."""
        home = self.models.home.with_name(f"{self.models.home.name}-copy")
        (home / "warehouse").mkdir(parents=True, exist_ok=True)
        copied = replace(self.models, home=home)
        shutil.copy(self.models.warehouse_path, copied.warehouse_path)
        return replace(self, models=copied)

    def tables(self, names: list[str]) -> dict[str, Rows]:
        """All rows of these tables."""
        return {name: self.models.rows(f"SELECT * FROM {name} ORDER BY ALL") for name in names}

    def _dbt(self, command: str, *arguments: str) -> dict[str, str]:
        only = ["--exclude-resource-type", "unit_test"] if command == "build" else []
        result = self.models.dbt(command, *only, *BY_DAY, *arguments, reporting_timezone=self.timezone)
        bad = messages(result)
        assert result.success or bad, result.exception
        return bad
