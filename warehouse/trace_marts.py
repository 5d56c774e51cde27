"""Which rows of which marts one event is counted in: a table, and what the published file has of these rows.

The table says the same as the models in `transforms/`, by key and by column; a test holds it to what they make. Marts
that come of state or of the ledger are not in it: no event is counted there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb

from warehouse.columns import declared_columns
from warehouse.connection import literal
from warehouse.errors import WarehouseUnusable, one_line
from warehouse.queries import trace_query

# the app of the events by which the way to the published file is timed: staging leaves them out
CANARY_APP = "footfall.canary"
DAY = "CAST(created_at AT TIME ZONE {timezone} AS DATE)"
MONTH = f"strftime({DAY}, '%Y-%m')"
HUMAN = "NOT is_bot"
BOTS = "rpt_bot_traffic_daily"


@dataclass(frozen=True, slots=True)
class TracedMart:
    """A mart that counts events of a raw table.

    `key` gives, for each column that names a row, how it comes of the event; `counts`, for each column that may count
    it, of which events that is true. Expressions of DuckDB on the raw row.
    """

    mart: str
    source: str
    key: Mapping[str, str]
    counts: Mapping[str, str]


def _same(*columns: str) -> dict[str, str]:
    return {column: column for column in columns}


USERS = {
    "event_count": HUMAN,
    "user_count": f"{HUMAN} AND user_id IS NOT NULL",
    "session_count": f"{HUMAN} AND session_id IS NOT NULL",
}
LOGIN = f"{HUMAN} AND event_type = 'login'"
DOCUMENT = _same("app_name", "level_name", "chapter_name", "document_name")

TRACED_MARTS = (
    TracedMart(
        "rpt_activity_by_day",
        "activity_events",
        {"activity_date": DAY},
        {"login_count": LOGIN, "signup_count": f"{HUMAN} AND event_type = 'signup'"},
    ),
    TracedMart(
        "rpt_daily_activity",
        "activity_events",
        {"activity_date": DAY},
        {
            "login_count": LOGIN,
            "app_open_count": f"{HUMAN} AND event_type = 'app_open'",
            "action_count": f"{HUMAN} AND event_type = 'action'",
        },
    ),
    TracedMart("rpt_monthly_logins", "activity_events", {"month": MONTH}, {"login_count": LOGIN}),
    TracedMart(
        "rpt_event_usage_daily",
        "tracking_events",
        {
            "event_date": DAY,
            **_same("app_name", "event_type", "event_name", "user_type", "country_code", "device_type", "os"),
        },
        {"event_count": HUMAN},
    ),
    TracedMart("rpt_app_usage_daily", "tracking_events", {"event_date": DAY, "app_name": "app_name"}, USERS),
    TracedMart("rpt_app_usage_monthly", "tracking_events", {"month": MONTH, "app_name": "app_name"}, USERS),
    TracedMart(
        BOTS,
        "tracking_events",
        {"event_date": DAY, "app_name": "app_name"},
        {"event_count": "is_bot"},
    ),
    TracedMart(
        "rpt_document_opens_daily",
        "tracking_documents",
        {"open_date": DAY, **DOCUMENT, **_same("user_type", "country_code")},
        {"open_count": HUMAN},
    ),
    TracedMart(
        "rpt_document_opens",
        "tracking_documents",
        DOCUMENT,
        {"open_count": HUMAN, "user_count": f"{HUMAN} AND user_id IS NOT NULL"},
    ),
)


@dataclass(frozen=True, slots=True)
class MartRow:
    """A row of a mart in which an event is counted: by which columns, and what they show.

    `counts` is empty where the published mart has no such row, which no build that passed leaves behind.
    """

    mart: str
    key: Mapping[str, str | None]
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Published:
    """What the published file was made of, the rows in it that count an event, and the marts that do not."""

    refreshed_at: datetime
    snapshot: str
    rows: Sequence[MartRow] = ()
    left_out: Sequence[str] = ()


def is_canary(table_name: str, event: Mapping[str, Any]) -> bool:
    """Tell whether a raw row is one of those that no mart counts."""
    return table_name == "tracking_events" and event["app_name"] == CANARY_APP


def find_in_marts(published_path: Path, table_name: str, event: Mapping[str, Any], timezone: str) -> Published:
    """Look up the rows that count an event, given as its raw row; `timezone` is that of the reports' days.

    Raises WarehouseUnusable.
    """
    try:
        with duckdb.connect(str(published_path), read_only=True) as published:
            published.execute("SET TimeZone = 'UTC'")
            [(refreshed_at, snapshot)] = published.execute(trace_query("refresh")).fetchall()
            known = {name for (name,) in published.execute(trace_query("published_marts")).fetchall()}
            marts = [mart for mart in TRACED_MARTS if mart.source == table_name and mart.mart in known]
            if is_canary(table_name, event):
                return Published(refreshed_at, snapshot, left_out=[mart.mart for mart in marts])
            rows = [row for mart in marts for row in _rows(published, mart, event, timezone)]
    except (duckdb.Error, ValueError) as error:
        raise WarehouseUnusable(published_path, one_line(error)) from error
    counting = {row.mart for row in rows}
    return Published(refreshed_at, snapshot, rows, [mart.mart for mart in marts if mart.mart not in counting])


def _rows(
    published: duckdb.DuckDBPyConnection, mart: TracedMart, event: Mapping[str, Any], timezone: str
) -> Iterator[MartRow]:
    columns = _as_columns(mart.source)
    values = [event.get(column) for column in declared_columns()[mart.source]]
    counted = _counted(published, mart, columns, values)
    if not counted:
        return
    key = {name: item.format(timezone=literal(timezone)) for name, item in mart.key.items()}
    query = trace_query("mart_row").format(
        event=columns,
        key=", ".join(f"{item} AS {name}" for name, item in key.items()),
        columns=", ".join(f"mart.{column}" for column in counted),
        mart=mart.mart,
        same=" AND ".join(f"mart.{name} IS NOT DISTINCT FROM traced.{name}" for name in key),
    )
    [row] = published.execute(query, values).fetchall()
    named = {name: _text(value) for name, value in zip(key, row, strict=False)}
    counts = dict(zip(counted, row[len(key) :], strict=True))
    yield MartRow(mart.mart, named, {} if None in counts.values() else counts)


def _counted(published: duckdb.DuckDBPyConnection, mart: TracedMart, event: str, values: list[Any]) -> list[str]:
    query = trace_query("mart_counts").format(event=event, counted=", ".join(mart.counts.values()))
    [answers] = published.execute(query, values).fetchall()
    return [column for column, is_counted in zip(mart.counts, answers, strict=True) if is_counted]


def _as_columns(table_name: str) -> str:
    return ", ".join(f"CAST(? AS {kind}) AS {column}" for column, kind in declared_columns()[table_name].items())


def _text(value: object) -> str | None:
    return value.isoformat() if isinstance(value, date) else None if value is None else str(value)
