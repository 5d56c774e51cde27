"""The reports: one list of them for the API, the page, its charts and its files. What a number means is `transforms/`.

A report is a query of `sql/reports.sql` with filters, an order that has no ties, and a page of it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any

from flask import Blueprint, Response, request, url_for

from admin_app.answers import answer
from admin_app.downloads import csv_answer
from admin_app.errors import NotPublished, NowUnknown, PublishedUnreadable, UnknownReport
from admin_app.live import LiveGroup
from admin_app.parameters import DEFAULT_LIMIT, Filters, read_filters
from admin_app.published import PublishedFile
from admin_app.queries import reports_query
from admin_app.sources import sources
from admin_app.stats import is_old

blueprint = Blueprint("reports", __name__, url_prefix="/api/reports")

DEFAULT_DAYS = 30
EVENT_DIMENSIONS = (
    *("event_date", "app_name", "event_type", "event_name"),
    *("user_type", "country_code", "device_type", "os"),
)
DOCUMENT_DIMENSIONS = (
    *("open_date", "app_name", "level_name", "chapter_name", "document_name"),
    *("user_type", "country_code"),
)
PAGE = ("limit", "offset")
RANGE = ("from", "to")
# which column a parameter is about; live is filtered here
COLUMNS = {"app": "app_name", "country": "country_code", "level": "level_name", "chapter": "chapter_name"}
LIVE_COLUMNS = ("app_name", "country_code", "user_type", "live_user_count")


@dataclass(frozen=True, slots=True)
class Kind:
    """A report that there is: its columns, its parameters, and its order, in which no two rows are equal."""

    title: str
    columns: tuple[str, ...]
    order: str
    parameters: tuple[str, ...] = ()
    date_column: str = ""
    """The column of days (or of months, as texts) that `from` and `to` are about; none: it is as of now."""
    dimensions: tuple[str, ...] = ()
    """The columns of which `by` may choose; the counts of the others are added up."""
    default_by: tuple[str, ...] = ()
    counted: str = ""
    """The column that is added up."""


@dataclass(frozen=True, slots=True)
class Report:
    """A page of a report; `as_of` is UTC, `total_row_count` counts all pages."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    total_row_count: int
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Stream:
    """All rows of a report, some at a time: of a long one they are too many to be held at once."""

    columns: tuple[str, ...]
    batches: Iterable[list[tuple[Any, ...]]]
    as_of: datetime


REPORTS: Mapping[str, Kind] = {
    "events": Kind(
        title="Events",
        columns=(*EVENT_DIMENSIONS, "event_count"),
        order="event_count DESC",
        parameters=(*RANGE, "app", "country", "by"),
        date_column="event_date",
        dimensions=EVENT_DIMENSIONS,
        default_by=("event_date", "app_name", "event_type", "event_name"),
        counted="event_count",
    ),
    "documents": Kind(
        title="Documents",
        columns=(*DOCUMENT_DIMENSIONS, "open_count"),
        order="open_count DESC",
        parameters=(*RANGE, "app", "country", "level", "chapter", "by"),
        date_column="open_date",
        dimensions=DOCUMENT_DIMENSIONS,
        default_by=("level_name", "chapter_name", "document_name"),
        counted="open_count",
    ),
    "live": Kind(
        title="Live users",
        columns=LIVE_COLUMNS,
        order="live_user_count DESC",
        parameters=("app", "country"),
    ),
    "points": Kind(
        title="Points",
        columns=("log_date", "earned_points", "redeemed_points", "earning_user_count", "redeeming_user_count"),
        order="log_date",
        parameters=RANGE,
        date_column="log_date",
    ),
    "balances": Kind(
        title="Balances",
        columns=(
            *("user_id", "points", "earned_points", "redeemed_points"),
            *("credits", "credits_added", "credits_spent"),
        ),
        order="points DESC, user_id",
    ),
    "activity": Kind(
        title="Activity",
        columns=("activity_date", "login_count", "signup_count", "app_open_count", "action_count"),
        order="activity_date",
        parameters=RANGE,
        date_column="activity_date",
    ),
    "logins": Kind(
        title="Monthly logins",
        columns=("month", "login_count"),
        order="month",
        parameters=RANGE,
        date_column="month",
    ),
    "visitors": Kind(
        title="Visitors",
        columns=("visit_date", "visitor_count", "new_visitor_count"),
        order="visit_date",
        parameters=RANGE,
        date_column="visit_date",
    ),
    "apps": Kind(
        title="App usage",
        columns=("event_date", "app_name", "event_count", "user_count", "session_count"),
        order="event_date, app_name",
        parameters=(*RANGE, "app"),
        date_column="event_date",
    ),
    "plans": Kind(
        title="Plans",
        columns=("plan", "subscription_count", "subscription_percent"),
        order="subscription_count DESC, plan",
    ),
    "plan-history": Kind(
        title="Plans by day",
        columns=("snapshot_date", "plan", "subscription_count", "subscription_percent"),
        order="snapshot_date, plan",
        parameters=RANGE,
        date_column="snapshot_date",
    ),
    "subscriptions": Kind(title="Subscriptions", columns=("status", "subscription_count"), order="status"),
    "users": Kind(title="Users", columns=("status", "user_count", "user_percent"), order="status"),
}


@blueprint.get("/<name>")
def get_report(name: str) -> Response:
    """Answer a page of a report as JSON, or all of it as CSV."""
    kind = find_kind(name)
    filters = read_filters(request.args, (*kind.parameters, *PAGE, "format"), kind.dimensions)
    if filters.format == "csv":
        stream = stream_report(name, filters)
        return csv_answer(name, stream, _range(kind, filters, stream.as_of))
    filters = replace(filters, limit=filters.limit or DEFAULT_LIMIT)
    report = read_report(name, filters)
    return answer(
        {
            "report": name,
            "columns": report.columns,
            "rows": [dict(zip(report.columns, row, strict=True)) for row in report.rows],
            "total_row_count": report.total_row_count,
            "next": _next(name, kind, report, filters),
            "as_of": report.as_of,
            "stale": sources().live.is_stale if name == "live" else is_old(report.as_of),
        }
    )


def find_kind(name: str) -> Kind:
    """Return the report of this name. Raises UnknownReport."""
    try:
        return REPORTS[name]
    except KeyError:
        raise UnknownReport(name, ", ".join(REPORTS)) from None


def read_report(name: str, filters: Filters) -> Report:
    """Read a report; without `from` and `to` of the last 30 days, without `limit` all of it.

    Raises UnknownReport, NotPublished, NowUnknown.
    """
    kind = find_kind(name)
    return _read_live(filters) if name == "live" else _read_published(_published(), name, kind, filters)


def stream_report(name: str, filters: Filters) -> Stream:
    """Read a report for a file, by the same query. Raises as `read_report` does, before the first row is handed out."""
    kind = find_kind(name)
    if name == "live":
        report = _read_live(filters)
        return Stream(report.columns, [report.rows], report.as_of)
    file = _published()
    query = _Query(name, kind, filters, file.loaded_at.date())
    return Stream(query.columns, file.batches(query.page, query.paged), file.loaded_at)


def days_of(filters: Filters, today: date) -> tuple[date, date]:
    """Return the first and the last day that are asked for; `today` is the day that the history is as of."""
    last = filters.to_date or max(today, filters.from_date or today)
    return filters.from_date or _days_before(last), last


def filter_choices(file: PublishedFile) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return which apps and which countries there are to filter by."""
    apps, countries = (file.rows_once(reports_query(name)).rows for name in ("apps_there_are", "countries_there_are"))
    return tuple(app for (app,) in apps), tuple(country for (country,) in countries)


def _days_before(last: date) -> date:
    return last - timedelta(days=min(DEFAULT_DAYS - 1, (last - date.min).days))


def _published() -> PublishedFile:
    published = sources().published
    # one reading of it: the next look may come in between
    file = published.current
    if file is None:
        raise PublishedUnreadable if published.is_damaged else NotPublished
    return file


def _read_published(file: PublishedFile, name: str, kind: Kind, filters: Filters) -> Report:
    query = _Query(name, kind, filters, file.loaded_at.date())
    found = file.rows(query.counted_page, query.paged).rows
    # beyond the last page no row says how many there are
    total = found[0][0] if found else file.rows(query.count, query.values).rows[0][0] if filters.offset else 0
    return Report(query.columns, [row[1:] for row in found], total, file.loaded_at)


class _Query:
    """A report as SQL: of names of our own, with what was asked bound as `values`."""

    def __init__(self, name: str, kind: Kind, filters: Filters, today: date) -> None:
        conditions, self.values = _conditions(kind, filters, today)
        self.columns, order = kind.columns, kind.order
        rows = f"SELECT * FROM ({reports_query(name)}) AS report WHERE {' AND '.join(conditions)}"  # noqa: S608
        if kind.dimensions:
            # those that a caller in this process made up would be SQL
            by = [dimension for dimension in filters.by or kind.default_by if dimension in kind.dimensions]
            self.columns, order = (*by, kind.counted), f"{kind.order}, {', '.join(by)}"
            counted = f"CAST(sum({kind.counted}) AS BIGINT) AS {kind.counted}"
            rows = f"SELECT {', '.join(by)}, {counted} FROM ({rows}) AS kept GROUP BY {', '.join(by)}"  # noqa: S608
        limit = "" if filters.limit is None else " LIMIT $limit"
        self.paged = self.values | {"offset": filters.offset} | ({"limit": filters.limit} if limit else {})
        part = f"ORDER BY {order}{limit} OFFSET $offset"
        self.page = f"{rows} {part}"
        self.count = f"SELECT count(*) FROM ({rows}) AS all_pages"  # noqa: S608
        # one pass for both: grouping is what takes its time
        self.counted_page = f"SELECT count(*) OVER () AS total, all_pages.* FROM ({rows}) AS all_pages {part}"  # noqa: S608


def _conditions(kind: Kind, filters: Filters, today: date) -> tuple[list[str], dict[str, object]]:
    conditions, values = ["true"], dict[str, object]()
    if kind.date_column:
        first, last = days_of(filters, today)
        # a month counts where a day of it does
        is_month = kind.date_column == "month"
        # as isoformat writes them: strftime leaves out the zeros before the year 1000
        values |= {"first": str(first)[:7] if is_month else first, "last": str(last)[:7] if is_month else last}
        conditions.append(f"{kind.date_column} BETWEEN $first AND $last")
    for name, column in COLUMNS.items():
        wanted = getattr(filters, name)
        if wanted is not None and name in kind.parameters:
            conditions.append(f"{column} = ${name}")
            values[name] = wanted
    return conditions, values


def _read_live(filters: Filters) -> Report:
    latest = sources().live.latest
    if latest is None:
        raise NowUnknown
    groups = [group for group in latest.live_users if _is_wanted(group, filters)]
    end = None if filters.limit is None else filters.offset + filters.limit
    rows = [tuple(getattr(group, column) for column in LIVE_COLUMNS) for group in groups[filters.offset : end]]
    return Report(LIVE_COLUMNS, rows, len(groups), latest.as_of)


def _is_wanted(group: LiveGroup, filters: Filters) -> bool:
    return filters.app in (None, group.app_name) and filters.country in (None, group.country_code)


def _next(name: str, kind: Kind, report: Report, filters: Filters) -> str | None:
    """Return the address of the next page, None after the last. It names the days, which midnight would move."""
    offset = filters.offset + len(report.rows)
    if offset >= report.total_row_count or not report.rows:
        return None
    days = dict(zip(RANGE, _range(kind, filters, report.as_of) or (), strict=False))
    others: dict[str, Any] = {**request.args, **days, "limit": filters.limit, "offset": offset}
    return url_for("reports.get_report", name=name, **others)


def _range(kind: Kind, filters: Filters, as_of: datetime) -> tuple[date, date] | None:
    return days_of(filters, as_of.date()) if kind.date_column else None
