"""The rows of one file told apart by a condition: those that go and those that stay. No file goes here.

The condition reads the columns as the models do; what is written has the columns that the file has, in its order.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.archive.fingerprint import ROW_GROUP_ROWS, duckdb_text
from warehouse.archive.seal import ZSTD_LEVEL
from warehouse.archive.sealed_file import Fingerprint
from warehouse.archive.sources import read_item
from warehouse.columns import declared_columns
from warehouse.connection import literal, quoted
from warehouse.queries import rewrite_query


@dataclass(frozen=True, slots=True)
class Split:
    """A local file of a table, with its columns' raw types, and the condition of the rows that go."""

    table_name: str
    path: Path
    columns: Mapping[str, str]
    condition: str
    has_all_columns: bool = True
    """Whether a column that the file lacks is NULL to the condition; else no condition can name it."""

    def going(self) -> str:
        """Write the query of the rows that go."""
        return self._rows("")

    def staying(self) -> str:
        """Write the query of the others."""
        return self._rows("NOT ")

    def _rows(self, negation: str) -> str:
        declared = declared_columns()[self.table_name].items()
        read = [
            read_item(column, kind, self.columns if self.has_all_columns else dict.fromkeys(self.columns, ""))
            for column, kind in declared
            if self.has_all_columns or column in self.columns
        ]
        return rewrite_query("rows").format(
            named=", ".join(f"{quoted(f'stored {column}')} AS {quoted(column)}" for column in self.columns),
            read=", ".join(read),
            stored=", ".join(f"{quoted(column)} AS {quoted(f'stored {column}')}" for column in self.columns),
            path=literal(str(self.path)),
            condition=self.condition,
            negation=negation,
        )


def fingerprint_of(connection: duckdb.DuckDBPyConnection, rows: str, columns: Mapping[str, str]) -> Fingerprint:
    """Compute it over the rows of a query."""
    query = rewrite_query("fingerprint").format(text=duckdb_text(columns), rows=rows)
    return Fingerprint(*connection.execute(query).fetchall()[0])


def write_staying(connection: duckdb.DuckDBPyConnection, split: Split, path: Path, reason: str) -> None:
    """Write the rows that stay, in their order, to a path that nobody reads."""
    connection.execute("SET preserve_insertion_order = true")
    connection.execute(
        rewrite_query("write").format(
            rows=split.staying(),
            path=literal(str(path)),
            level=ZSTD_LEVEL,
            row_group_rows=ROW_GROUP_ROWS,
            reason=literal(reason),
        )
    )
