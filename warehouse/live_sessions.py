"""Deletes live sessions that were not heard of for too long. What counts as live now is said in one setting."""

import psycopg

from warehouse.aged_rows import AGED_ROWS, Counts
from warehouse.errors import PostgresQueryFailed, one_line
from warehouse.postgres import connect
from warehouse.queries import postgres_query, retention_query
from warehouse.retention import kept_by_setting

SETTING = "live_session_timeout_minutes"


def delete_stale_live_sessions(database_url: str) -> Counts:
    """Delete what is older than the setting allows, in batches of one transaction each; returns how many.

    What somebody holds just now, as a heartbeat does, is due and stays. The timeout is
    `admin_settings.live_session_timeout_minutes`, 5 where it is not set. Raises PostgresUnreachable,
    PostgresQueryFailed, SettingUnusable.
    """
    with connect(database_url) as connection:
        try:
            connection.execute(retention_query("bounds"))
            values = connection.execute(postgres_query("setting"), [SETTING]).fetchall()
            timeout = kept_by_setting(SETTING, *(value for (value,) in values))
            [(cutoff,)] = connection.execute(postgres_query("live_session_cutoff"), [timeout]).fetchall()
            return AGED_ROWS["live_sessions"].remove(connection, cutoff, dry_run=False)
        except psycopg.Error as error:
            raise PostgresQueryFailed("delete stale live sessions", one_line(error)) from error
