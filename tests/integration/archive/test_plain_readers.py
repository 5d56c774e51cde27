"""Anybody's tools read a table's folder of the archive as it lies there, with the day as a column."""

from collections.abc import Callable
from datetime import date
from uuid import UUID

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from tests.integration.archive.sealing import DAY, OTHER_DAY, Home


def with_polars(folder: str) -> list[tuple[date, UUID]]:
    rows = pl.scan_parquet(folder, hive_partitioning=True).select("received_date", "event_id").collect()
    return [(day, UUID(bytes=event_id)) for day, event_id in rows.rows()]


def with_pyarrow(folder: str) -> list[tuple[date, UUID]]:
    by_day = ds.partitioning(pa.schema([("received_date", pa.date32())]), flavor="hive")
    rows = ds.dataset(folder, format="parquet", partitioning=by_day).to_table(["received_date", "event_id"])
    event_ids = pa.ExtensionArray.from_storage(pa.uuid(), rows["event_id"].combine_chunks().cast(pa.binary(16)))
    return list(zip(rows["received_date"].to_pylist(), event_ids.to_pylist(), strict=True))


def with_duckdb(folder: str) -> list[tuple[date, UUID]]:
    query = (
        "SELECT received_date, event_id::UUID FROM read_parquet($folder || '/**/*.parquet', hive_partitioning = true)"
    )
    with duckdb.connect() as connection:
        return connection.execute(query, {"folder": folder}).fetchall()


@pytest.mark.parametrize("read", [with_polars, with_pyarrow, with_duckdb])
def test_folder_is_read_as_one_table(home: Home, read: Callable[[str], list[tuple[date, UUID]]]) -> None:
    home.seal()
    rows = read(str(home.archive / "tracking_events"))
    wanted = home.ask(
        f"SELECT received_at::DATE, event_id FROM sources.tracking_events WHERE received_at < '{DAY}'::DATE + 1"
    )
    assert sorted(rows) == sorted(wanted)
    assert {day for day, _ in rows} == {OTHER_DAY, DAY}
