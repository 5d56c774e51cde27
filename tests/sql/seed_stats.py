"""The oracle of the stats: the first seed's own SQL, a statement a value, run on Postgres. No test here."""

import re
from datetime import datetime, timedelta
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

_PARTS = re.split(r"^-- (\w+) --$", Path(__file__).with_suffix(".sql").read_text(), flags=re.MULTILINE)
STATEMENTS = dict(zip(_PARTS[1::2], _PARTS[2::2], strict=True))
"""To the name of a value its statement; the seed's `now()` is `as_of`, its 5 minutes are `timeout`."""

LISTS = {"activityByDay", "monthlyLogins", "dailyActivity", "planDistribution", "plansPercentage"}
_TIMEOUT = "SELECT setting_value::int FROM admin_settings WHERE setting_key = 'live_session_timeout_minutes'"


def seed_stats(database: psycopg.Connection, as_of: datetime) -> dict[str, object]:
    """Ask Postgres for every value when "now" is `as_of`; percentages are Decimals with one digit."""
    return {name: _value(database, name, as_of) for name in STATEMENTS}


def _value(database: psycopg.Connection, name: str, as_of: datetime) -> object:
    timeout = timedelta(minutes=next(iter(database.execute(_TIMEOUT)), (5,))[0])
    with database.cursor(row_factory=dict_row) as cursor:
        statement = STATEMENTS[name].replace("%(as_of)s", "%(as_of)s::timestamptz")
        rows = cursor.execute(statement.encode(), {"as_of": as_of, "timeout": timeout}).fetchall()
    if name in LISTS:
        return rows
    [row] = rows
    return row if len(row) > 1 else next(iter(row.values()))
