"""What became of the demo, in a few small tables read from the published file. Fits 80 columns; changes nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from footfall.demo.charts import bar, columns
from footfall.demo.errors import NothingPublished
from footfall.demo.post import SentCounts

QUERIES = Path(__file__).parent / "queries"
BAR_WIDTH = 22
COUNTRY_COLUMNS = 4
BAR_STYLE = "cyan"
MILLION = 1_000_000


def print_summary(console: Console, published_path: Path, sent: SentCounts) -> None:
    """Print what was sent, and what the marts of `published_path` (opened read-only) make of all there is.

    Raises NothingPublished.
    """
    if not published_path.exists():
        raise NothingPublished(published_path)
    with duckdb.connect(str(published_path), read_only=True) as published:
        tables = (
            _sent_table(sent),
            _activity_table(_rows(published, "daily_activity")),
            _plan_table(_rows(published, "plans")),
            _document_table(_rows(published, "top_documents")),
            _app_table(_rows(published, "events_by_app_and_country"), _rows(published, "events_by_app_and_day")),
        )
    for table in tables:
        console.print()
        console.print(table)
    console.print()


def _rows(published: duckdb.DuckDBPyConnection, name: str) -> list[tuple[Any, ...]]:
    return published.execute((QUERIES / f"{name}.sql").read_text()).fetchall()


def _table(title: str, texts: Mapping[str, int], numbers: Sequence[str], *more: str) -> Table:
    """Start a table: columns of text and how wide they may be, then of numbers, then whatever else; no rules."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="dim", box=None, pad_edge=False)
    for name, width in texts.items():
        table.add_column(name, no_wrap=True, max_width=width)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    for name in more:
        table.add_column(name, no_wrap=True)
    return table


def _count(number: int) -> str:
    return f"{number:,}" if number else "-"


def _short(number: int) -> str:
    """Write a count in seven characters at most (up to ten thousand millions), for a table of many columns."""
    return _count(number) if number < MILLION else f"{number / MILLION:,.1f}M"


def _sent_table(sent: SentCounts) -> Table:
    table = _table("Sent over HTTP", {"endpoint": 30}, ["records", "accepted", "dropped"], "")
    for endpoint in sorted(sent.sent, key=lambda endpoint: -sent.sent[endpoint]):
        counts = (sent.sent[endpoint], sent.accepted[endpoint], sent.dropped[endpoint])
        table.add_row(endpoint, *map(_count, counts), sent.reasons.get(endpoint, ""))
    totals = (sent.sent.total(), sent.accepted.total(), sent.dropped.total())
    table.add_row("all", *map(_count, totals), style="bold")
    return table


def _activity_table(days: list[tuple[Any, ...]]) -> Table:
    table = _table("Accounts, the last 7 days", {"day (UTC)": 20}, ["logins", "app opens", "actions"], "all three")
    largest = max((sum(counts) for _, *counts in days), default=0)
    for day, *counts in days:
        drawn = bar(sum(counts), largest, BAR_WIDTH)
        table.add_row(_day(day), *map(_count, counts), Text(drawn, BAR_STYLE))
    return table


def _day(day: date) -> str:
    is_today = day == datetime.now(UTC).date()
    return f"{day:%a %d %b}" + (", so far" if is_today else "")


def _plan_table(plans: list[tuple[Any, ...]]) -> Table:
    table = _table("Active subscriptions by plan", {"plan": 30}, ["count", "share"], "")
    largest = max((count for _, count, _ in plans), default=0)
    for plan, count, percent in plans:
        drawn = bar(count, largest, BAR_WIDTH)
        table.add_row(plan or "(none)", _count(count), f"{percent} %", Text(drawn, BAR_STYLE))
    return table


def _document_table(documents: list[tuple[Any, ...]]) -> Table:
    table = _table("Documents opened most", {"level": 14, "document": 30}, ["opens"], "")
    largest = max((document[2] for document in documents), default=0)
    for level, document, opens in documents:
        drawn = bar(opens, largest, BAR_WIDTH)
        table.add_row(level, document, _count(opens), Text(drawn, BAR_STYLE))
    return table


def _app_table(counts: list[tuple[Any, ...]], days: list[tuple[Any, ...]]) -> Table:
    """One row an app: all its events, its newest days as little columns, and its most frequent countries."""
    by_app, by_country = Counter[str](), Counter[str | None]()
    for app, country, count in counts:
        by_app[app] += count
        by_country[country] += count
    named = [country for country, _ in by_country.most_common(COUNTRY_COLUMNS) if country]
    table = _table("Events by app and country", {"app": 14, "last 14 days": 14}, ["events", *named, "other"])
    cells = {(app, country): count for app, country, count in counts}
    for app, total in by_app.most_common():
        drawn = columns([count for name, count in days if name == app])
        shown = [cells.get((app, country), 0) for country in named]
        table.add_row(app, Text(drawn, BAR_STYLE), *map(_short, (total, *shown, total - sum(shown))))
    return table
