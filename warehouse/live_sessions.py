"""Deletes live sessions that were not heard of for too long. What counts as live now is said in one setting."""

import psycopg

from warehouse.errors import PostgresQueryFailed, SettingUnusable, one_line
from warehouse.postgres import connect
from warehouse.queries import postgres_query

SETTING = "live_session_timeout_minutes"
DEFAULT_TIMEOUT_MINUTES = 5
BATCH_ROWS = 1_000


def delete_stale_live_sessions(database_url: str) -> int:
    """Delete what is older than the setting allows, in batches of one transaction each; returns how many.

    The timeout is `admin_settings.live_session_timeout_minutes`, 5 where it is not set. Raises
    PostgresUnreachable, PostgresQueryFailed, SettingUnusable.
    """
    with connect(database_url) as connection:
        try:
            return _delete(connection)
        except psycopg.Error as error:
            raise PostgresQueryFailed("delete stale live sessions", one_line(error)) from error


def _delete(connection: psycopg.Connection) -> int:
    [cutoff] = connection.execute(postgres_query("live_session_cutoff"), [_timeout_minutes(connection)]).fetchone() or [
        None
    ]
    deleted_row_count = 0
    while batch := connection.execute(
        postgres_query("delete_live_sessions"), {"cutoff": cutoff, "limit": BATCH_ROWS}
    ).rowcount:
        deleted_row_count += batch
    return deleted_row_count


def _timeout_minutes(connection: psycopg.Connection) -> int:
    row = connection.execute(postgres_query("setting"), [SETTING]).fetchone()
    if row is None:
        return DEFAULT_TIMEOUT_MINUTES
    [value] = row
    if not value.isdecimal() or int(value) == 0:
        raise SettingUnusable(SETTING, value)
    return int(value)
