"""What the models read, given to Spark: the files that the manifest names and no others, as views of its session.

Of event tables these are the sealed files and those of the days that are still open; other tables, and what the warehouse
knows of itself, are written to the lake for this build. The views are temporary ones, in Spark's schema `staging`.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import reduce
from itertools import groupby
from typing import TYPE_CHECKING

import duckdb

from warehouse.archive.store import Archive
from warehouse.columns import declared_columns
from warehouse.lake.files import SourceFile, export_table, source_files
from warehouse.tables import TABLES

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SPARK_TYPES = {
    "BIGINT": "bigint",
    "BOOLEAN": "boolean",
    "INTEGER": "int",
    "TIMESTAMP WITH TIME ZONE": "timestamp",
    "UBIGINT": "decimal(20,0)",
    "UUID": "binary",
    "VARCHAR": "string",
}
"""The raw types of the warehouse in Spark's words: a uuid is its sixteen bytes, and what is unsigned a decimal."""
# what the macros of `transforms/` ask about loads and builds; tables of their own, for dbt looks for them in a schema
META = ("builds", "load_cursors", "touched")


def give_sources(spark: "SparkSession", warehouse: duckdb.DuckDBPyConnection, archive: Archive) -> None:
    """Make a view of each table that models read. The caller holds the writer lock and has prepared the sources."""
    for table in TABLES:
        columns = declared_columns()[table.name]
        if table.kind == "event":
            files = source_files(warehouse, archive, table.name)
            _make_view(spark, table.name, _frame(spark, columns, files))
            _make_view(spark, f"raw_{table.name}", _frame(spark, columns, [file for file in files if file.is_hot]))
        else:
            exported = SourceFile(export_table(warehouse, archive, f"raw.{table.name}", table.name), columns, True)
            _make_view(spark, table.name, _frame(spark, columns, [exported]))
    received_days = export_table(warehouse, archive, "sources.received_days", "received_days")
    _make_view(spark, "sources_received_days", spark.read.parquet(received_days))
    spark.sql("CREATE SCHEMA IF NOT EXISTS meta")
    for name in META:
        path = export_table(warehouse, archive, f"meta.{name}", f"meta.{name}")
        spark.sql(f"CREATE TABLE meta.{name} USING parquet LOCATION '{path}'")


def _frame(spark: "SparkSession", columns: Mapping[str, str], files: Sequence[SourceFile]) -> "DataFrame":
    """Put together all files, whichever columns an older footfall gave them; what a file lacks is null."""
    frames = []
    for stored, some in groupby(sorted(files, key=_stored), key=_stored):
        schema = ", ".join(f"`{name}` {SPARK_TYPES[kind]}" for name, kind in stored)
        frame = spark.read.schema(schema).parquet(*[file.path for file in some])
        frames.append(frame.selectExpr(*_items(columns, dict(stored))))
    empty = spark.createDataFrame([], ", ".join(f"`{name}` {SPARK_TYPES[kind]}" for name, kind in columns.items()))
    return reduce(lambda one, other: one.unionAll(other), frames) if frames else empty


def _items(columns: Mapping[str, str], stored: Mapping[str, str]) -> Iterable[str]:
    return (
        f"CAST({f'`{name}`' if name in stored else 'NULL'} AS {SPARK_TYPES[kind]}) AS `{name}`"
        for name, kind in columns.items()
    )


def _stored(file: SourceFile) -> tuple[tuple[str, str], ...]:
    return tuple(file.columns.items())


def _make_view(spark: "SparkSession", name: str, frame: "DataFrame") -> None:
    frame.createOrReplaceGlobalTempView(name)
