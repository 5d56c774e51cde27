"""Marts that another engine made, as Parquet in folders, come into the warehouse; the histories that it needs go out.

What comes is held to the contract of its model: the columns, their types, and where there may be no null. No model is
known here, and no other engine.
"""

from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.connection import literal, quoted, transaction
from warehouse.queries import returned_query


@dataclass(frozen=True, slots=True)
class MartColumn:
    """A column as its model's contract has it; `kind` is DuckDB's name of its type."""

    name: str
    kind: str
    is_required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Mart:
    """A table of a contract. `period` is the column whose values are names of folders, None where there are no such."""

    schema: str
    name: str
    description: str
    columns: tuple[MartColumn, ...]
    period: str | None = None

    @property
    def relation(self) -> str:
        """The table's name for DuckDB."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"


def take_mart(warehouse: duckdb.DuckDBPyConnection, mart: Mart, folder: Path) -> int:
    """Make the table anew, whole, from the files below a folder, and return how many rows it has.

    All or nothing. Raises duckdb.Error where the files lack a column, or a value is not what the contract says.
    """
    declared = ", ".join(
        f"{quoted(column.name)} {column.kind}{' NOT NULL' if column.is_required else ''}" for column in mart.columns
    )
    items = ", ".join(f"{quoted(column.name)}::{column.kind}" for column in mart.columns)
    with transaction(warehouse):
        warehouse.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(mart.schema)}")
        warehouse.execute(f"CREATE OR REPLACE TABLE {mart.relation} ({declared})")
        if files := _files(folder):
            query = returned_query("take_rows")
            warehouse.execute(
                query.format(relation=mart.relation, columns=items, files=files, has_folders=bool(mart.period))
            )
        warehouse.execute(f"COMMENT ON TABLE {mart.relation} IS {literal(mart.description)}")
        for column in mart.columns:
            name = f"{mart.relation}.{quoted(column.name)}"
            warehouse.execute(f"COMMENT ON COLUMN {name} IS {literal(column.description)}")
    return count_rows(warehouse, folder)


def count_rows(warehouse: duckdb.DuckDBPyConnection, folder: Path) -> int:
    """Count the rows of the files below a folder, by what the files say of themselves."""
    files = _files(folder)
    return int(warehouse.execute(returned_query("count_rows").format(files=files)).fetchall()[0][0]) if files else 0


def give_history(warehouse: duckdb.DuckDBPyConnection, mart: Mart, path: Path) -> bool:
    """Write a table that is kept here to a new file; False where there is no such table.

    A uuid is its sixteen bytes there.
    """
    if warehouse.execute(returned_query("is_table"), [mart.schema, mart.name]).fetchone() is None:
        return False
    names = ((quoted(column.name), column.kind) for column in mart.columns)
    items = ", ".join(f"{name}::BLOB AS {name}" if kind == "UUID" else name for name, kind in names)
    path.parent.mkdir(parents=True, exist_ok=True)
    query = returned_query("write_history")
    warehouse.execute(query.format(columns=items, relation=mart.relation, path=literal(str(path))))
    return True


def _files(folder: Path) -> str:
    """Write the files below a folder as DuckDB's list, an empty text where there are none."""
    files = sorted(map(str, folder.rglob("*.parquet")))
    return f"[{', '.join(map(literal, files))}]" if files else ""
