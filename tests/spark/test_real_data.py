"""Real data through `footfall refresh` on Spark: the marts equal those that DuckDB makes of the same rows.

Skips where the data is not at hand. What it is, and that DuckDB's marts are right, is next to the import that is used.
"""

import pytest

from pipelines.dbt_project import parse
from tests.integration.installation import Installation
from tests.integration.test_real_data import installation
from tests.sql.conftest import Models
from tests.sql.production import Production, project_of

__all__ = ["installation"]

pytestmark = pytest.mark.timeout(1_800)
ENGINE = "SELECT count(*) > 0 FROM meta.hot_files"


def test_marts_of_real_data_equal_those_of_duckdb(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    before = installation.published("SELECT refreshed_at FROM marts.rpt_totals")
    with monkeypatch.context() as patch:
        patch.setenv("FOOTFALL_ENGINE", "spark")
        patch.setenv("FOOTFALL_SPARK_MASTER", "local[2]")
        installation.run("refresh")
    assert installation.published("SELECT refreshed_at FROM marts.rpt_totals") > before
    assert installation.warehouse(ENGINE) == [(True,)]
    manifest = parse(installation.home / "dbt").for_dbt()
    models = Models(installation.home, manifest)
    production = Production(models, installation.database_url, "UTC", project_of(models.home, manifest, "UTC"))
    differing = [name for name in production.differences() if not name.startswith("intermediate.")]
    assert differing == []
