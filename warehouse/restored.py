"""Rows that came with a dump of another server: their xid may lie ahead of this server's. Nothing is loaded here.

Such a row would be skipped now, and taken for new on the day the server gives out that xid.
"""

import psycopg
from psycopg import sql

from warehouse.errors import PostgresQueryFailed, RowsFromTheFuture, one_line
from warehouse.postgres import Snapshot, connect
from warehouse.queries import filled_postgres_query


def require_no_future_rows(snapshot: Snapshot, table_names: list[str]) -> None:
    """Look once into each table's index on xid. Raises RowsFromTheFuture."""
    queries = [
        filled_postgres_query(
            "future_rows", name=sql.Literal(name), table=sql.Identifier(name), cur=sql.Literal(snapshot.text)
        )
        for name in table_names
    ]
    for (table_name,) in snapshot.fetch("\nUNION ALL\n".join(queries), "look for restored rows"):
        raise RowsFromTheFuture(table_name)


def adopt_restored_rows(database_url: str, table_names: list[str]) -> int:
    """Give such rows an xid of this server, before everything is loaded anew; returns how many.

    The only write of a load, and none where there are no such rows. Raises PostgresQueryFailed.
    """
    with connect(database_url) as connection:
        try:
            return sum(
                connection.execute(
                    filled_postgres_query("adopt_rows", table=sql.Identifier(table_name)).encode()
                ).rowcount
                for table_name in table_names
            )
        except psycopg.Error as error:
            raise PostgresQueryFailed("adopt restored rows", one_line(error)) from error
