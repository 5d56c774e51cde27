"""The dashboard: what the page at `/` shows, put together for its templates.

What a number is stands in `stats.py` and `reports.py`, what a chart is in `charts.py`; how it looks, in `templates/`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time

from flask import Blueprint, render_template, request

from admin_app.addresses import Address, months_before, read_address
from admin_app.charts import CHARTS, Chart, make_chart
from admin_app.errors import NowUnknown
from admin_app.listings import document_crumbs, document_step, list_balances, list_documents, list_events
from admin_app.live import Live, Span
from admin_app.reports import REPORTS, Report, days_of, filter_choices, read_report
from admin_app.sources import sources
from admin_app.stats import Stats, is_old, read_stats

blueprint = Blueprint("pages", __name__)

LEAST_MONTHS = 6
MOST_LIVE_ROWS = 100
TILES = (
    ("People now", (("active_users_now", "Active users"), ("visitors_now", "Visitors"))),
    ("Users", (("total_users", "All"), ("expired_users", "Expired"), ("inactive_users", "Inactive"))),
    (
        "Subscriptions",
        (
            ("active_subscriptions", "Active"),
            ("expired_subscriptions", "Expired"),
            ("cancelled_subscriptions", "Cancelled"),
        ),
    ),
    ("Visitors", (("total_visitors", "All"), ("visitors_today", "Today"))),
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A chart with where its numbers are as a file, and what of the page's filters it does not know."""

    chart: Chart
    csv: str
    note: str


@blueprint.get("/")
def dashboard() -> str:
    """Show the numbers; without a published file, how to get there."""
    address, stats, live, file = read_address(request.args), read_stats(), sources().live, sources().published.current
    today = (file.loaded_at if file else datetime.now(UTC)).date()
    first, last = days_of(address.filters, today)
    off = _off_within(live, first, last)
    apps, countries = filter_choices(file) if file else ((), ())
    return render_template(
        "dashboard.html",
        address=address,
        first=first,
        last=last,
        presets=address.presets(today),
        apps=_with_chosen(apps, address.filters.app),
        countries=_with_chosen(countries, address.filters.country),
        stats=stats,
        tiles=TILES,
        warnings=_warnings(stats, live),
        is_off_now=_is_off(live),
        off=off,
        is_fresh=_is_fresh(stats, apps),
        is_damaged=sources().published.is_damaged,
        file=file,
        ingest_url=sources().settings.ingest_url,
        live=_live_report(address),
        is_live_stale=live.is_stale,
        **(_history(address, first, last, off) if file else {}),
    )


@blueprint.app_template_filter("counted")
def counted(number: int | None) -> str:
    """Write a count: thousands apart, a dash where it is not known yet."""
    return "\N{EN DASH}" if number is None else f"{number:,}"


@blueprint.app_template_filter("thousands")
def thousands(text: str) -> str:
    """Write the numbers in a text with thousands apart."""
    return re.sub("[0-9]{4,}", lambda number: f"{int(number[0]):,}", text)


@blueprint.app_template_filter("moment")
def moment(when: datetime) -> str:
    """Write a time of UTC to the second."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _history(address: Address, first: date, last: date, off: Sequence[Span]) -> dict[str, object]:
    """Gather what comes of the published file."""
    return {
        "figures": {name: _figure(name, address, first, last, off) for name in CHARTS},
        "events": list_events(address),
        "documents": list_documents(address),
        "document_step": document_step(address.filters),
        "crumbs": document_crumbs(address),
        "balances": list_balances(address),
    }


def _figure(name: str, address: Address, first: date, last: date, off: Sequence[Span]) -> Figure:
    kind = CHARTS[name]
    known, filters = REPORTS[kind.report].parameters, address.filters
    if "from" not in known:
        chart = make_chart(name, read_report(kind.report, filters), first, last, off)
        return Figure(chart, address.csv(kind.report), _note(address, known))
    if kind.key == "month":
        # a month or two are no course of time
        first = min(first, months_before(last.replace(day=1), LEAST_MONTHS - 1))
    report = read_report(kind.report, replace(filters, from_date=first, to_date=last))
    csv = address.csv(kind.report, from_=first, to=last)
    return Figure(make_chart(name, report, first, last, off), csv, _note(address, known))


def _note(address: Address, known: Sequence[str]) -> str:
    """Say of a chart which of the filters that are set it does not heed."""
    unheeded = {"app": "All apps.", "country": "All countries."}
    return " ".join(words for name, words in unheeded.items() if name in address.given and name not in known)


def _live_report(address: Address) -> Report | None:
    filters = replace(address.filters, limit=MOST_LIVE_ROWS)
    try:
        return read_report("live", filters)
    except NowUnknown:
        return None


def _warnings(stats: Stats, live: Live) -> list[str]:
    """Say in words why numbers are older than they should be."""
    published, warnings = sources().published, []
    if live.is_stale and live.latest:
        at = moment(live.latest.as_of)
        warnings.append(f"Postgres does not answer: the numbers of now are those of {at} UTC.")
    elif live.is_stale:
        warnings.append("Postgres was not reached yet: the numbers of now are those of the last refresh, if any.")
    if published.is_damaged:
        older = "what is shown was published before it" if published.current else "no history can be shown"
        warnings.append(f"The published file cannot be used ({published.fault}): {older}.")
    if stats.as_of.history and is_old(stats.as_of.history):
        at = moment(stats.as_of.history)
        warnings.append(f"History ends at {at} UTC: no refresh has passed since. The Dagster UI says why.")
    return warnings


def _is_off(live: Live) -> bool:
    return live.latest is not None and live.latest.settings.get("tracking_enabled") == "0"


def _off_within(live: Live, first: date, last: date) -> list[Span]:
    """Return the times without tracking that touch these days."""
    begin = datetime.combine(first, time(), UTC)
    end = datetime.combine(last, time.max, UTC)
    spans = live.latest.tracking_off if live.latest else ()
    return [span for span in spans if span.begin <= end and (span.end is None or span.end > begin)]


def _is_fresh(stats: Stats, apps: Sequence[str]) -> bool:
    """Tell whether nothing was sent yet, as far as is known."""
    if sources().published.is_damaged:
        return False
    return not apps and not any((stats.total_users, stats.total_visitors, stats.active_users_now, stats.visitors_now))


def _with_chosen(choices: Sequence[str], chosen: str | None) -> list[str]:
    """Return the choices with the one of the address, which a refresh may not know any more, or not yet."""
    return [*choices, chosen] if chosen and chosen not in choices else [*choices]
