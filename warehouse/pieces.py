"""What to ask Postgres for a table's rows, cut in pieces where there is much to read. Nothing is read here.

The pieces of one table have no row in common and miss none, so it does not matter who reads which, or when.
"""

from collections.abc import Iterable

from psycopg import sql

from warehouse.cursors import Cursor
from warehouse.postgres import Snapshot, snapshot_xmax
from warehouse.queries import filled_postgres_query
from warehouse.tables import Table

# 32 MB: long enough that asking for a piece costs nothing beside reading it, short enough that the last
# pieces of a table end at about the same time
PIECE_BLOCKS = 4096
# with fewer transactions since the last load there is little to read, and a second connection costs more
HALVED_FROM_XIDS = 1000


def everything(snapshot: Snapshot, table: Table, columns: dict[str, str]) -> list[str]:
    """Ask for all rows that the snapshot sees: run by run of blocks, partition by partition."""
    # from here to the end of the transaction no partition goes, and no row moves
    snapshot.run(filled_postgres_query("lock", table=sql.Identifier(table.name)), f"read {table.name}")
    runs = snapshot.fetch(
        filled_postgres_query(
            "block_runs", relation=sql.Literal(f"public.{table.name}"), run_blocks=sql.Literal(PIECE_BLOCKS)
        ),
        f"tell where the rows of {table.name} lie",
    )
    return [
        filled_postgres_query(
            "everything",
            columns=named_columns(columns),
            table=sql.Identifier(partition),
            first=sql.Literal(f"({first_block},0)"),
            end=sql.Literal(f"({end_block},0)"),
            cur=sql.Literal(snapshot.text),
        )
        for partition, first_block, end_block in runs
    ]


def difference(snapshot: Snapshot, table: Table, columns: dict[str, str], cursor: Cursor) -> list[str]:
    """Ask for the rows that the snapshot sees and the cursor did not."""
    query = filled_postgres_query(
        "difference",
        columns=named_columns(columns),
        table=sql.Identifier(table.name),
        prev=sql.Literal(cursor.snapshot),
        cur=sql.Literal(snapshot.text),
    )
    if table.kind == "state" or snapshot.xmax - snapshot_xmax(cursor.snapshot) < HALVED_FROM_XIDS:
        return [query]
    return halves(query, table)


def halves(query: str, table: Table) -> list[str]:
    """Cut a query for rows of a table in two, by their ids."""
    conditions = (
        filled_postgres_query("half", key=sql.Identifier(table.key), half=sql.Literal(half)) for half in (0, 1)
    )
    return [f"{query}\n{condition}" for condition in conditions]


def keys(table: Table, key: dict[str, str]) -> str:
    """Ask for the keys of all rows."""
    return filled_postgres_query("keys", columns=named_columns(key), table=sql.Identifier(table.name))


def named_columns(columns: Iterable[str]) -> sql.Composed:
    """Write the columns of a SELECT."""
    return sql.SQL(", ").join(map(sql.Identifier, columns))
