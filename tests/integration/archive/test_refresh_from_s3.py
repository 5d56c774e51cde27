"""A refresh by Dagster with its sealed days in a bucket: views are counted and failed checks are read there too."""

import shutil
from pathlib import Path

import dagster as dg
import pytest

from pipelines.dbt_project import TRANSFORMS
from pipelines.definitions import build_defs
from pipelines.jobs import REFRESH
from pipelines.settings import Settings
from tests.integration.archive.sealing import Home

KEPT = {"_sources", "stg_tracking_events", "assert_nothing_is_sealed"}
# what a check finds in sealed files only
FOUND = "SELECT event_name FROM {{ ref('stg_tracking_events') }} WHERE received_at < now() - INTERVAL 1 DAY"


@pytest.fixture
def transforms(tmp_path: Path) -> Path:
    """A project with one view on sealed rows, and a check that fails with each of them."""
    folder = shutil.copytree(TRANSFORMS, tmp_path / "transforms", ignore=shutil.ignore_patterns("target", "logs"))
    for path in [*(folder / "models").rglob("*.*"), *(folder / "tests").glob("*.*")]:
        if path.stem not in KEPT:
            path.unlink()
    (folder / "tests" / "assert_nothing_is_sealed.sql").write_text(FOUND)
    return folder


def test_refresh_reads_sealed_days_from_the_bucket(
    s3_home: Home, transforms: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DATABASE_URL", "FOOTFALL_HOME", "FOOTFALL_ARCHIVE"):
        monkeypatch.setenv(name, "")
    s3_home.seal()
    settings = Settings(
        footfall_home=s3_home.folder, database_url=s3_home.database_url, footfall_archive=s3_home.archive_address
    )
    with dg.DagsterInstance.ephemeral() as instance:
        job = build_defs(settings, transforms).resolve_job_def(REFRESH)
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        [made] = result.asset_materializations_for_node("models")
        [check] = [
            found for found in result.get_asset_check_evaluations() if found.check_name == "assert_nothing_is_sealed"
        ]
    assert made.metadata["dagster/row_count"].value == 36
    assert check.metadata["failed_row_count"].value == 24
    assert "first_failed_rows" in check.metadata
