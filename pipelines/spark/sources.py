"""What the models read, given to Spark: the files that the manifest names and no others, as views of its session.

Of event tables these are the sealed files, where they are; what is not sealed, other tables, and what the warehouse
knows of itself are written to the lake for this build. The views are temporary ones, in Spark's schema `staging`.
"""

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import groupby
from pathlib import Path
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
    """Make a view of all that models read. The caller holds the writer lock and has prepared the sources.

    Raises HotRowsNotInLake, LakeNotLocal, duckdb.Error.
    """
    for table in TABLES:
        columns = declared_columns()[table.name]
        if table.kind == "event":
            files = source_files(warehouse, archive, table.name)
            hot = [file for file in files if file.is_hot]
            _frame(spark, columns, hot).createOrReplaceGlobalTempView(f"raw_{table.name}")
            _frame(spark, columns, files).createOrReplaceGlobalTempView(table.name)
        else:
            path = export_table(warehouse, archive, f"raw.{table.name}", table.name)
            _frame(spark, columns, [SourceFile(path, columns)]).createOrReplaceGlobalTempView(table.name)
    received_days = export_table(warehouse, archive, "sources.received_days", "received_days")
    spark.read.parquet(received_days).createOrReplaceGlobalTempView("sources_received_days")
    spark.sql("CREATE SCHEMA IF NOT EXISTS meta")
    for name in META:
        path = export_table(warehouse, archive, f"meta.{name}", f"meta.{name}")
        spark.sql(f"CREATE TABLE meta.{name} USING parquet LOCATION '{Path(path).parent}'")


def _frame(spark: "SparkSession", columns: Mapping[str, str], files: Sequence[SourceFile]) -> "DataFrame":
    """Put together all files, whichever columns an older footfall gave them; what a file lacks is null."""
    frames = [spark.createDataFrame([], ", ".join(f"`{name}` {SPARK_TYPES[kind]}" for name, kind in columns.items()))]
    for stored, some in groupby(sorted(files, key=_stored), key=_stored):
        schema = ", ".join(f"`{name}` {SPARK_TYPES[kind]}" for name, kind in stored)
        has = {name for name, _ in stored}
        items = (
            f"CAST({f'`{name}`' if name in has else 'NULL'} AS {SPARK_TYPES[kind]}) AS `{name}`"
            for name, kind in columns.items()
        )
        frames.append(spark.read.schema(schema).parquet(*[file.path for file in some]).selectExpr(*items))
    return reduce(lambda one, other: one.unionAll(other), frames)


def _stored(file: SourceFile) -> tuple[tuple[str, str], ...]:
    return tuple(file.columns.items())
