"""Rooms that share no code state some numbers and names twice: here they are held together."""

from footfall.watch import canary
from ingest_app.migrate import PARTITION_DAYS_AHEAD
from pipelines.dbt_project import TRANSFORMS
from warehouse.partitions import DAYS_AHEAD
from warehouse.trace_marts import CANARY_APP


def test_migrate_and_nightly_job_make_equal_partitions() -> None:
    assert DAYS_AHEAD == PARTITION_DAYS_AHEAD


def test_canary_has_one_app_wherever_it_is_known() -> None:
    assert canary.APP == CANARY_APP
    assert f"(app_name = '{CANARY_APP}')" in (TRANSFORMS / "macros" / "is_canary.sql").read_text()
