"""What another engine is given: each row of an event table once, in files that it can read."""

import duckdb
import psycopg
import pytest

from tests.integration.archive.sealing import DAY, OTHER_DAY, days_ago
from tests.integration.lake.lakes import LakeHome, ids_in_postgres
from warehouse.archive.sources import prepare_sources
from warehouse.connection import open_warehouse
from warehouse.lake.errors import HotRowsNotInLake, LakeNotLocal
from warehouse.lake.files import SourceFile, export_table, lake_folder, source_files
from warehouse.tables import TABLES


def given(lake: LakeHome, table: str = "tracking_events") -> list[SourceFile]:
    with open_warehouse(lake.warehouse_path) as warehouse:
        return source_files(warehouse, lake.store, table)


def test_source_files_have_each_row_once(database: psycopg.Connection, lake: LakeHome) -> None:
    lake.seal()
    files = given(lake)
    assert [file.is_hot for file in files] == [False, False, True]
    with duckdb.connect() as connection:
        rows = [
            row_id for file in files for (row_id,) in connection.execute(f"SELECT id FROM '{file.path}'").fetchall()
        ]
    assert sorted(rows) == ids_in_postgres(database)


def test_columns_are_those_of_the_file(lake: LakeHome) -> None:
    stored = {"UUID": "BLOB"}
    with duckdb.connect() as connection:
        for file in given(lake):
            described = connection.execute(
                f"DESCRIBE FROM read_parquet('{file.path}', hive_partitioning = false)"
            ).fetchall()
            assert [(name, kind) for name, kind, *_ in described] == [
                (name, stored.get(kind, kind)) for name, kind in file.columns.items()
            ]


def test_rows_in_the_warehouse_file_are_not_passed_over(lake: LakeHome) -> None:
    lake.load_tables(into_lake=False)
    with pytest.raises(HotRowsNotInLake, match=r"tracking_events .*footfall refresh"):
        given(lake)
    assert given(lake, "tracking_documents") == []


def test_exported_table_is_one_file_that_follows_another(lake: LakeHome) -> None:
    prepare_sources(lake.warehouse_path)
    with open_warehouse(lake.warehouse_path) as warehouse, duckdb.connect() as reader:
        relations = [f"raw.{table.name}" for table in TABLES if table.kind != "event"]
        for relation in [*relations, "sources.received_days", "meta.load_cursors", "meta.builds"]:
            name = relation.removeprefix("raw.")
            paths = [export_table(warehouse, lake.store, relation, name) for _ in range(2)]
            assert list(lake.store.listing(f"lake/tables/{name}")) == [
                paths[1].removeprefix(f"{lake_folder(lake.store).parent}/")
            ]
            assert (
                reader.execute(f"SELECT count(*) FROM '{paths[1]}'").fetchall()
                == warehouse.execute(f"SELECT count(*) FROM {relation}").fetchall()
            )
            kinds = {kind for _, kind, *_ in reader.execute(f"DESCRIBE FROM '{paths[1]}'").fetchall()}
            assert not kinds & {"UUID", "UBIGINT", "HUGEINT"}


def test_received_days_count_hot_and_sealed_rows(lake: LakeHome) -> None:
    lake.seal()
    prepare_sources(lake.warehouse_path)
    query = "SELECT received_date, row_count FROM sources.received_days WHERE table_name = 'tracking_events'"
    assert sorted(lake.ask(query)) == [(OTHER_DAY, 12), (DAY, 12), (days_ago(0), 12)]


def test_lake_in_a_bucket_is_no_folder(lake: LakeHome) -> None:
    bucket = LakeHome(lake.folder, lake.database_url, "s3://bucket/prefix")
    with pytest.raises(LakeNotLocal, match="s3://bucket/prefix"):
        lake_folder(bucket.store)
