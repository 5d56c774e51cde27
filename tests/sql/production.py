"""Refreshes as production does them: `pipelines`' own selection and build, without Dagster. No rows here.

`refreshing` builds less of the project, with selectors of its own, for tests that look at days alone.
"""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pytest
from dbt.contracts.graph.manifest import Manifest

from pipelines.dbt_project import DUCKDB, ParsedProject, _fed_by, _of_now, build
from tests.sql.conftest import TRANSFORMS, Models, Rows, messages
from warehouse.archive.sources import prepare_sources
from warehouse.builds import begin_build, finish_build
from warehouse.load import load

TABLES = """
    SELECT schema_name || '.' || table_name FROM duckdb_tables()
    WHERE schema_name IN ('intermediate', 'marts') OR table_name = 'conservation' ORDER BY ALL
"""


@dataclass(frozen=True)
class _Parsed(ParsedProject):
    """The project as dbt parsed it for all tests, which spares five seconds."""

    parsed: Manifest

    def for_dbt(self) -> Manifest:
        return self.parsed


@dataclass(frozen=True)
class Production:
    """A home whose warehouse follows one Postgres, with a project that reports in one time zone."""

    models: Models
    database_url: str
    timezone: str
    project: ParsedProject

    def refresh(self, *, compare_keys: bool, checked: bool = True) -> list[str]:
        """Load what is new and build what comes of it; return the words of what failed.

        Unchecked, it is the same selection of models without their data tests, which take two thirds of the time.
        """
        path = self.models.warehouse_path
        load(self.database_url, path, compare_keys=compare_keys)
        prepare_sources(path)
        touched = begin_build(path, "a build", models_version=self.project.fingerprint)
        failed = self._build(touched) if checked else self._run(touched)
        if not failed:
            finish_build(path, "a build")
        return failed

    def differences(self) -> dict[str, tuple[Rows, Rows]]:
        """Return the rows of each table, and those of a copy that was built from the start, where they differ."""
        found, rebuilt = self.tables(), self._copy()
        rebuilt.models.build("--full-refresh", reporting_timezone=self.timezone)
        wanted = rebuilt.tables()
        return {name: (found.get(name, []), rows) for name, rows in wanted.items() if found.get(name) != rows}

    def tables(self) -> dict[str, Rows]:
        """All rows of all tables that the models make."""
        with duckdb.connect(str(self.models.warehouse_path), read_only=True) as connection:
            names = [name for (name,) in connection.execute(TABLES).fetchall()]
            return {name: connection.execute(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for name in names}

    def _build(self, touched: list[str] | None) -> list[str]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FOOTFALL_HOME", str(self.models.home))
            results = build(self.project, self.models.home / "dbt", touched)
        return [f"{result.name}: {result.message}" for result in results if result.is_failed]

    def _run(self, touched: list[str] | None) -> list[str]:
        selected = [] if touched is None else ["--select", *_fed_by(touched), *_of_now(self.models.manifest)]
        result = self.models.dbt("run", *selected, reporting_timezone=self.timezone)
        return [f"{name}: {message}" for name, message in messages(result).items()]

    def _copy(self) -> "Production":
        """Copy the warehouse into another home; its sealed files are those of this one."""
        home = self.models.home.with_name(f"{self.models.home.name}-copy")
        (home / "warehouse").mkdir(parents=True, exist_ok=True)
        copied = replace(self.models, home=home)
        shutil.copy(self.models.warehouse_path, copied.warehouse_path)
        return replace(self, models=copied)


def project_of(home: Path, manifest: Manifest, timezone: str) -> ParsedProject:
    """Return the project as an operator has it who chose this `reporting_timezone`; it was parsed already."""
    transforms = shutil.copytree(TRANSFORMS, home / "transforms", ignore=shutil.ignore_patterns("target", "logs"))
    settings = transforms / "dbt_project.yml"
    text = settings.read_text()
    assert "reporting_timezone: UTC\n" in text
    settings.write_text(text.replace("reporting_timezone: UTC\n", f"reporting_timezone: {timezone}\n"))
    return _Parsed(home / "dbt" / "parsed", transforms, DUCKDB, manifest)
