"""The dashboard's tables: a page of a report's rows, with the links around it. Which rows there are is `reports.py`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from admin_app.addresses import DRILL_DOWN, Address
from admin_app.parameters import Filters
from admin_app.reports import REPORTS, Report, read_report

ROWS_OF_A_PAGE = 15
EVENT_COLUMNS = ("app_name", "event_type", "event_name")
# what is opened at each step, and by which filter one goes to the next
DOCUMENT_STEPS = (("level_name", "level"), ("chapter_name", "chapter"), ("document_name", None))
# beyond so many names a browser's list helps nobody
MOST_NAMES = 1_000
LABELS: Mapping[str, str] = {
    "app_name": "App",
    "event_type": "Type",
    "event_name": "Event",
    "event_count": "Events",
    "level_name": "Level",
    "chapter_name": "Chapter",
    "document_name": "Document",
    "open_count": "Opens",
    "country_code": "Country",
    "user_type": "Kind",
    "live_user_count": "Users",
    "user_id": "User",
    "points": "Points",
    "earned_points": "Earned",
    "redeemed_points": "Redeemed",
    "credits": "Credits",
    "credits_added": "Added",
    "credits_spent": "Spent",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """A value of a row; with `href` it leads somewhere, with `share` (of 100) it has a bar."""

    value: Any
    is_number: bool = False
    href: str | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True)
class Crumb:
    """A step on the way to what is shown; the last has no link."""

    name: str
    href: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of rows: `first` to `last` of `total`, and where the pages beside it are."""

    heads: tuple[tuple[str, bool], ...]
    """The columns' names, and whether numbers stand below."""
    rows: list[list[Cell]]
    first: int
    total: int
    csv: str
    before: str | None
    after: str | None
    names: tuple[str, ...] = ()
    """All that one can go to, where they are more than a page."""

    @property
    def last(self) -> int:
        """The number of the last row shown."""
        return self.first + len(self.rows) - 1


def list_events(address: Address) -> Listing:
    """List what was used most."""
    filters = replace(_known("events", address), by=EVENT_COLUMNS)
    return _listing("events", "events_page", filters, address, by=",".join(EVENT_COLUMNS))


def list_documents(address: Address) -> Listing:
    """List what was opened most: levels, the chapters of one, or the documents of one of those."""
    column, step = _step(address.filters)
    filters = replace(_known("documents", address), by=(column,))
    listing = _listing("documents", "documents_page", filters, address, by=column)
    if step is None:
        return listing
    for row in listing.rows:
        row[0] = replace(row[0], href=address.change(anchor="documents", **{step: row[0].value}))
    if listing.total <= ROWS_OF_A_PAGE:
        return listing
    names = read_report("documents", replace(filters, limit=MOST_NAMES)).rows
    return replace(listing, names=tuple(sorted(str(name) for name, _ in names)))


def list_balances(address: Address) -> Listing:
    """List who has most points."""
    return _listing("balances", "balances_page", Filters(), address)


def document_step(filters: Filters) -> str | None:
    """Return the filter by which one goes on from the documents that are listed; None where they are the last."""
    return _step(filters)[1]


def document_crumbs(address: Address) -> list[Crumb]:
    """Return the way to the documents that are listed."""
    level, chapter = address.filters.level, address.filters.chapter
    crumbs = [Crumb("All levels", address.change(anchor="documents", level=None, chapter=None))]
    if level:
        crumbs.append(Crumb(level, address.change(anchor="documents", chapter=None)))
    if chapter:
        crumbs.append(Crumb(chapter, None))
    return [*crumbs[:-1], Crumb(crumbs[-1].name, None)]


def _step(filters: Filters) -> tuple[str, str | None]:
    return DOCUMENT_STEPS[2 if filters.chapter else 1 if filters.level else 0]


def _known(name: str, address: Address) -> Filters:
    """Return the filters without those that the report does not know."""
    known = REPORTS[name].parameters
    without: dict[str, Any] = {field: None for field in DRILL_DOWN if field not in known}
    return replace(address.filters, **without)


def _listing(name: str, page_name: str, filters: Filters, address: Address, **csv: str) -> Listing:
    page = address.pages[page_name]
    report = _page(name, filters, page)
    if page > 1 and not report.rows:
        # the page of a link that was shared may be no more: the first one always is
        page, report = 1, _page(name, filters, 1)
    first = (page - 1) * ROWS_OF_A_PAGE + 1
    is_last = first + len(report.rows) > report.total_row_count
    return Listing(
        heads=tuple((LABELS[column], _is_number(report, number)) for number, column in enumerate(report.columns)),
        rows=_rows(report, _largest(name, report, filters, page)),
        first=first,
        total=report.total_row_count,
        csv=address.csv(name, **csv),
        before=address.change(anchor=name, **{page_name: page - 1}) if page > 1 else None,
        after=None if is_last else address.change(anchor=name, **{page_name: page + 1}),
    )


def _page(name: str, filters: Filters, page: int) -> Report:
    return read_report(name, replace(filters, limit=ROWS_OF_A_PAGE, offset=(page - 1) * ROWS_OF_A_PAGE))


def _largest(name: str, report: Report, filters: Filters, page: int) -> int | None:
    """Return the count that all bars are parts of: that of the first row of all; None where the report has no bars."""
    if not REPORTS[name].counted or not report.rows:
        return None
    first = report.rows if page == 1 else read_report(name, replace(filters, limit=1)).rows
    return int(first[0][-1])


def _rows(report: Report, largest: int | None) -> list[list[Cell]]:
    rows = [[Cell(value, _is_number(report, number)) for number, value in enumerate(row)] for row in report.rows]
    if largest:
        for row in rows:
            row[-1] = replace(row[-1], share=round(100 * row[-1].value / largest, 1))
    return rows


def _is_number(report: Report, number: int) -> bool:
    # a user's number is a name: nobody reckons with it
    return report.columns[number] in ("points", "credits") or report.columns[number].endswith(
        ("_count", "_points", "_added", "_spent")
    )
