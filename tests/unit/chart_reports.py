"""Reports to make charts of, without anything that counts."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from admin_app.charts import CHARTS, MONTH, Chart, make_chart
from admin_app.live import Span
from admin_app.reports import Report

BEGIN, END = date(2026, 10, 25), date(2026, 11, 23)
HOSTILE = "we\"ird\\ [a].b '</script><b>\n${x} {{y}} 名前, and much longer than a phone is wide"
LONG_AFTER = datetime(2100, 1, 1, tzinfo=UTC)
OFF = Span(datetime(2026, 11, 14, 20, tzinfo=UTC), datetime(2026, 11, 15, 22, tzinfo=UTC))


def a_report(name: str, *rows: tuple[Any, ...], as_of: datetime = LONG_AFTER) -> Report:
    """A report for a chart: rows of the day (or month or part), the series where it is a column, and the counts."""
    kind = CHARTS[name]
    columns = (kind.key, *([kind.split] if kind.split else []), *kind.columns)
    return Report(columns, list(rows), len(rows), as_of)


def full_chart(name: str) -> Chart:
    """A chart with all that it may have: many series, an evil name, and a time without tracking."""
    begin = date(2026, 6, 1) if CHARTS[name].key == MONTH else BEGIN
    return make_chart(name, a_report(name, *full_rows(name)), begin, END, [OFF])


def full_rows(name: str) -> list[tuple[Any, ...]]:
    """Rows for all days of BEGIN to END, or for six months, or of eleven parts."""
    kind = CHARTS[name]
    names = [HOSTILE, *(f"Name {number}" for number in range(10))]
    if kind.part:
        return [(one, 1000 * number, 9.1) for number, one in enumerate(names)]
    if kind.key == MONTH:
        return [(f"2026-{month:02}", 100_000 * month) for month in range(6, 12)]
    days = [BEGIN + timedelta(number) for number in range((END - BEGIN).days + 1)]
    if kind.split:
        return [(day, one, 700 + 40 * number + day.day) for day in days for number, one in enumerate(names)]
    return [(day, *(1000 * number + day.day for number, _ in enumerate(kind.columns, 1))) for day in days]
