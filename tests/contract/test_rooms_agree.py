"""Rooms that share no code state some numbers twice: here they are held together."""

from ingest_app.migrate import PARTITION_DAYS_AHEAD
from warehouse.partitions import DAYS_AHEAD


def test_migrate_and_nightly_job_make_equal_partitions() -> None:
    assert DAYS_AHEAD == PARTITION_DAYS_AHEAD
