"""The tables that dbt makes on Spark: each is Parquet in a folder of the lake, and the newest whole one counts.

A table that is made anew gets a folder of its own, `lake/models/<schema>.<name>/<when the build began>`, which counts
once the build has passed; days are replaced inside of it. Spark's catalog lasts as long as its session: it is told of
the tables anew each time, so that a driver that was killed leaves nothing to repair. No warehouse here.
"""

import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dbt.contracts.graph.manifest import Manifest
from dbt.contracts.graph.nodes import ModelNode

from warehouse.returned import Mart, MartColumn

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MODELS = "models"
# readers of Parquet pass over a file of such a name
WHOLE = "_whole"
# what a contract calls a type, in Spark's words, as the macro `spark_type` has it
SPARK_TYPES = {"TIMESTAMPTZ": "TIMESTAMP", "UUID": "BINARY", "VARCHAR": "STRING"}


@dataclass(frozen=True, slots=True)
class ModelTable:
    """A table that dbt makes. `is_history`: it is appended to and never made anew, for only refreshes saw its rows."""

    unique_id: str
    mart: Mart
    is_history: bool

    def folder(self, lake: Path) -> Path:
        """Return the folder with one folder a build from the start."""
        return lake / MODELS / f"{self.mart.schema}.{self.mart.name}"

    def current(self, lake: Path) -> Path | None:
        """Return the newest folder that is whole, None where there is none."""
        whole = sorted(mark.parent for mark in self.folder(lake).glob(f"*/{WHOLE}"))
        return whole[-1] if whole else None

    def is_made_anew(self, lake: Path, *, is_full: bool) -> bool:
        """Tell whether a build makes a folder for it, and does not change the one that is there."""
        is_replaced_whole = self.mart.period is None or is_full
        return self.current(lake) is None or (is_replaced_whole and not self.is_history)

    def mark_whole(self, lake: Path, build_name: str) -> None:
        """Let the folder of a build count, also one in which Spark had no row to write."""
        folder = self.folder(lake) / build_name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / WHOLE).touch()


def model_tables(manifest: Manifest) -> list[ModelTable]:
    """Return all that dbt makes as tables."""
    models = [node for node in manifest.nodes.values() if isinstance(node, ModelNode)]
    return [_table(node) for node in models if node.config.materialized in {"table", "incremental"}]


def register(spark: "SparkSession", tables: Sequence[ModelTable], lake: Path) -> None:
    """Tell Spark's catalog of the tables that are there."""
    for table in tables:
        mart, folder = table.mart, table.current(lake)
        spark.sql(f"CREATE SCHEMA IF NOT EXISTS {mart.schema}")
        if folder is not None:
            kinds = ((column.name, SPARK_TYPES.get(column.kind, column.kind)) for column in mart.columns)
            columns = ", ".join(f"`{name}` {kind}" for name, kind in kinds)
            parts = f"PARTITIONED BY (`{mart.period}`)" if mart.period else ""
            spark.sql(f"CREATE TABLE {mart.schema}.{mart.name} ({columns}) USING parquet {parts} LOCATION '{folder}'")


def remove_old(tables: Sequence[ModelTable], lake: Path) -> None:
    """Remove the folders that do not count: older ones, and those of builds that were killed."""
    for table in tables:
        current = table.current(lake)
        for folder in _folders(table, lake):
            if folder != current:
                shutil.rmtree(folder)


def _folders(table: ModelTable, lake: Path) -> Iterator[Path]:
    folder = table.folder(lake)
    return (path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else iter(())


def _table(node: ModelNode) -> ModelTable:
    touched = node.config.meta.get("touched", {})
    columns = (
        MartColumn(
            name=column.name,
            kind=column.data_type or "",
            is_required=any(constraint.type == "not_null" for constraint in column.constraints),
            description=column.description,
        )
        for column in node.columns.values()
    )
    return ModelTable(
        unique_id=node.unique_id,
        mart=Mart(
            schema=node.schema,
            name=node.name,
            description=node.description,
            columns=tuple(columns),
            period=touched.get("day") or touched.get("month"),
        ),
        is_history=node.config.incremental_strategy == "append",
    )
