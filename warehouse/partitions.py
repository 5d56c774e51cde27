"""Makes the daily partitions of the event tables ahead of time. The SQL function is the schema's own."""

import psycopg

from warehouse.errors import PostgresQueryFailed, one_line
from warehouse.postgres import connect
from warehouse.queries import postgres_query

# ingest_app's migrate makes as many; the two share no code, a test holds them together
DAYS_AHEAD = 14


def make_event_partitions(database_url: str) -> int:
    """Make what is missing from today to 14 days ahead; returns how many partitions were made.

    Raises PostgresUnreachable, PostgresQueryFailed.
    """
    with connect(database_url) as connection:
        try:
            row = connection.execute(postgres_query("make_event_partitions"), [DAYS_AHEAD]).fetchone()
        except psycopg.Error as error:
            raise PostgresQueryFailed("make event partitions", one_line(error)) from error
    return int(row[0]) if row else 0
