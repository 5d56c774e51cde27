"""The dashboard's address is its state: what it filters by, and links that change one thing of it and keep the rest.

Which values a filter may have is `parameters.py`; which report knows which filter, `reports.py`.
"""

import calendar
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from flask import url_for
from werkzeug.datastructures import MultiDict

from admin_app.parameters import MOST_OFFSET, Filters, read_filters
from admin_app.reports import REPORTS, days_of

DRILL_DOWN = ("level", "chapter")
FILTERS = ("from", "to", "app", "country", *DRILL_DOWN)
PAGES = ("events_page", "documents_page", "balances_page")
PRESET_DAYS = (7, 30, 90)
MONTHS_OF_A_YEAR = 12


@dataclass(frozen=True, slots=True)
class Preset:
    """A range of days as a link; `is_current` where it is the one that is shown."""

    name: str
    href: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Address:
    """What the address of this request says, checked."""

    filters: Filters
    given: Mapping[str, str]
    pages: Mapping[str, int]

    def change(self, anchor: str | None = None, **changes: object) -> str:
        """Return the address with some parameters changed; None takes one away. `from_` is `from`.

        Documents begin anew with their first page where one goes on to others, all lists where the filters change.
        """
        changed = {name.rstrip("_"): value for name, value in changes.items()}
        anew = (
            set(PAGES)
            if changed.keys() - {*PAGES, *DRILL_DOWN}
            else ({"documents_page"} if changed.keys() & {*DRILL_DOWN} else set())
        )
        kept = {name: page for name, page in self.pages.items() if page > 1 and name not in anew}
        values = _present({**self.given, **kept, **changed})
        return url_for("pages.dashboard", _anchor=anchor, **values)

    def csv(self, report: str, **changes: object) -> str:
        """Return where all rows of a report are, as a file, with those of the filters that it knows."""
        known = {name: value for name, value in self.given.items() if name in REPORTS[report].parameters}
        values = {**known, **{name.rstrip("_"): value for name, value in changes.items()}, "format": "csv"}
        return url_for("reports.get_report", name=report, **_present(values))

    def presets(self, today: date) -> list[Preset]:
        """Return the ranges that people ask for most; each ends with the day that the history is as of."""
        shown = days_of(self.filters, today)
        ranges = {f"{days} days": today - timedelta(days=days - 1) for days in PRESET_DAYS}
        ranges[f"{MONTHS_OF_A_YEAR} months"] = months_before(today, MONTHS_OF_A_YEAR) + timedelta(days=1)
        return [
            Preset(name, self.change(from_=first, to=today), shown == (first, today)) for name, first in ranges.items()
        ]


def read_address(arguments: MultiDict[str, str]) -> Address:
    """Read what the page is asked for. Raises ParametersRefused; a page that cannot be is the first."""
    asked = arguments.copy()
    pages = {name: _page(asked.poplist(name)) for name in PAGES}
    filters = read_filters(asked, FILTERS)
    return Address(filters, {name: asked[name] for name in FILTERS if asked.get(name)}, pages)


def months_before(day: date, months: int) -> date:
    """Return the same day so many months earlier, or the last one of a month that is shorter."""
    # before the year 1 there is none
    year, month = divmod(max(12, day.year * 12 + day.month - 1 - months), 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _page(values: list[str]) -> int:
    is_number = len(values) == 1 and values[0].isascii() and values[0].isdigit() and len(values[0]) <= 6
    return min(max(1, int(values[0])), MOST_OFFSET) if is_number else 1


def _present(values: Mapping[str, object]) -> dict[str, Any]:
    return {name: str(value) for name, value in values.items() if value not in (None, "")}
