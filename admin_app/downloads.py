"""Reports as files: CSV as RFC 4180 has it, in UTF-8, that no spreadsheet takes for formulas."""

import csv
import io
from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

from flask import Response

if TYPE_CHECKING:
    from admin_app.reports import Stream

# what makes a spreadsheet compute: names of events come from whoever has a page's key
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def csv_answer(name: str, report: "Stream", days: tuple[date, date] | None) -> Response:
    """Answer all rows of a report; `days` go into the file's name."""
    suffix = f"_{days[0]}_{days[1]}" if days else ""
    response = Response(csv_lines(report), mimetype="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="{name}{suffix}.csv"'
    return response


def csv_lines(report: "Stream") -> Iterator[str]:
    """Write the columns' names, then the rows, some at a time."""
    yield _written([report.columns])
    for rows in report.batches:
        yield _written([tuple(map(_cell, row)) for row in rows])


def _written(rows: list[tuple[Any, ...]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
