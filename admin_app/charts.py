"""Which charts there are, and how each is made of a report: titles, series, and the same numbers as a table.

What a chart looks like is `drawing.py`, which rows a report has is `reports.py`; nothing is read or counted here.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from admin_app.drawing import (
    Mark,
    Series,
    Share,
    Spec,
    Stretch,
    TimeAxis,
    day_axis,
    draw_shares,
    draw_time,
    month_axis,
)
from admin_app.live import Span
from admin_app.reports import Report

NAMED_SERIES = 8
"""How many apps or plans have a colour and a line in a list of their own; the others are one."""

MOST_DAYS = 1100
"""Three years: of a longer time the last days are drawn."""

MONTH = "month"
"""The key of reports that have a row a month, not a day."""

NamedCounts = dict[str, dict[str, int]]
"""By series and day (or month)."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A figure of the page. `heads` and `rows` are its numbers as a table; without `spec` there is nothing to draw."""

    name: str
    title: str
    description: str
    mark: str
    legend: tuple[str, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str | int, ...], ...]
    is_gapped: bool
    """Whether tracking was off during a part of it."""
    spec: Spec | None


@dataclass(frozen=True, slots=True)
class Kind:
    """A chart that there is: which report it shows, by which of its columns."""

    report: str
    key: str
    """The column that says which day, month or part a row is about."""
    columns: Mapping[str, str]
    """The columns of counts and what they are called; of a chart of shares the count, then its percentage."""
    title: str
    description: str
    counted: str
    """The title of the axis of counts."""
    mark: Mark = "lines"
    split: str = ""
    """The column whose values are the series, where they are not columns."""
    part: str = ""
    """The title of the axis of parts; what has one is a chart of shares."""
    others: str = ""
    """What those beyond NAMED_SERIES are called together."""
    unnamed: str = ""
    """What is called so has no name of its own."""


CHARTS: Mapping[str, Kind] = {
    "activity-by-day": Kind(
        report="activity",
        key="activity_date",
        columns={"login_count": "Logins", "signup_count": "Signups"},
        title="Activity by day",
        description="Logins and signups per day.",
        counted="Events per day",
    ),
    "daily-activity": Kind(
        report="activity",
        key="activity_date",
        columns={"login_count": "Logins", "app_open_count": "App opens", "action_count": "Actions"},
        title="Daily activity",
        description="Logins, app opens and actions per day.",
        counted="Events per day",
    ),
    "monthly-logins": Kind(
        report="logins",
        key="month",
        columns={"login_count": "Logins"},
        title="Monthly logins",
        description="Logins per month.",
        counted="Logins per month",
        mark="bars",
    ),
    "visitors": Kind(
        report="visitors",
        key="visit_date",
        columns={"visitor_count": "All visitors", "new_visitor_count": "New visitors"},
        title="Visitors by day",
        description="Visitors per day, and those of them who came for the first time.",
        counted="Visitors per day",
    ),
    "app-usage": Kind(
        report="apps",
        key="event_date",
        columns={"event_count": "Events"},
        title="App usage",
        description="Tracking events per day and app.",
        counted="Events per day",
        mark="stack",
        split="app_name",
        others="Other apps",
    ),
    "points": Kind(
        report="points",
        key="log_date",
        columns={"earned_points": "Earned", "redeemed_points": "Redeemed"},
        title="Points by day",
        description="Points earned and redeemed per day.",
        counted="Points per day",
    ),
    "plan-history": Kind(
        report="plan-history",
        key="snapshot_date",
        columns={"subscription_count": "Active subscriptions"},
        title="Plans by day",
        description="Active subscriptions at the end of each day, by plan.",
        counted="Active subscriptions",
        mark="stack",
        split="plan",
        others="Other plans",
        unnamed="No plan",
    ),
    "plan-shares": Kind(
        report="plans",
        key="plan",
        columns={"subscription_count": "Active subscriptions", "subscription_percent": "Share"},
        title="Plans",
        description="Active subscriptions by plan.",
        counted="Active subscriptions",
        part="Plan",
        others="Other plans",
        unnamed="No plan",
    ),
    "user-status": Kind(
        report="users",
        key="status",
        columns={"user_count": "Users", "user_percent": "Share"},
        title="User status",
        description="Users who are active, expired or inactive.",
        counted="Users",
        part="Status",
    ),
}


def make_chart(name: str, report: Report, begin: date, end: date, off: Sequence[Span] = ()) -> Chart:
    """Make one of CHARTS of its report, for the days from `begin` to `end`; `off` are the times without tracking."""
    kind = CHARTS[name]
    if kind.part:
        return _shares_chart(name, kind, report)
    # days to come are no days without anything
    last = min(end, report.as_of.date()) if report.as_of else end
    first = max(begin, date.fromordinal(max(1, last.toordinal() - MOST_DAYS + 1)))
    if first > last:
        return Chart(name, kind.title, kind.description, kind.mark, (), (), (), False, None)
    return _time_chart(name, kind, report, _axis(kind, first, last), off, is_cut=first > begin)


def _time_chart(name: str, kind: Kind, report: Report, axis: TimeAxis, off: Sequence[Span], is_cut: bool) -> Chart:
    """Make a chart over time. A day of which the report says nothing had nothing."""
    keys = tuple(_key(kind, first) for first in axis.firsts)
    counts = _fold(_counts(kind, report, set(keys)), kind.others)
    series = tuple(Series(one, tuple(found.get(key, 0) for key in keys)) for one, found in counts.items())
    stretches = _inside(axis, off)
    spec = None
    if any(any(one.values) for one in series):
        spec = draw_time(kind.mark, axis, series, kind.counted, stretches)
        spec["description"] = _describe(kind, keys, series, bool(stretches))
    notes = (
        *_unfinished(kind, axis, report.as_of),
        *([f"Drawn from {keys[0]} on, the file has all."] if is_cut else []),
    )
    return Chart(
        name=name,
        title=kind.title,
        description=" ".join((kind.description, *notes)),
        mark=kind.mark,
        legend=tuple(counts) if len(counts) > 1 else (),
        heads=("Month" if kind.key == MONTH else "Day", *counts),
        rows=tuple(zip(keys, *(one.values for one in series), strict=True)),
        is_gapped=bool(stretches),
        spec=spec,
    )


def _shares_chart(name: str, kind: Kind, report: Report) -> Chart:
    """Make a chart of the parts of a whole."""
    count, percent = kind.columns
    # of no accounts at all there are no shares
    found = [Share(_name(kind, row[kind.key]), row[count], float(row[percent] or 0)) for row in _rows(report)]
    shares = _fold_shares(found, kind.others)
    spec = None
    if any(one.count for one in shares):
        spec = draw_shares(shares, kind.part, kind.counted)
        told = ", ".join(f"{one.name} {one.count:,} ({one.percent:.1f}%)" for one in shares)
        spec["description"] = f"{kind.title}: {told}."
    return Chart(
        name=name,
        title=kind.title,
        description=kind.description,
        mark="shares",
        legend=(),
        heads=(kind.part, *kind.columns.values()),
        rows=tuple((one.name, one.count, f"{one.percent:.1f}%") for one in shares),
        is_gapped=False,
        spec=spec,
    )


def _rows(report: Report) -> Iterator[dict[str, Any]]:
    return (dict(zip(report.columns, row, strict=True)) for row in report.rows)


def _axis(kind: Kind, begin: date, end: date) -> TimeAxis:
    days = [begin + timedelta(number) for number in range((end - begin).days + 1)]
    if kind.key == MONTH:
        return month_axis([begin.replace(day=1), *(day for day in days[1:] if day.day == 1)])
    return day_axis(days)


def _key(kind: Kind, first: date) -> str:
    # strftime leaves out the zeros before the year 1000
    return str(first)[:7] if kind.key == MONTH else first.isoformat()


def _counts(kind: Kind, report: Report, keys: Set[str]) -> NamedCounts:
    """Gather the counts by series and day, of those days."""
    counts: NamedCounts = {} if kind.split else {name: {} for name in kind.columns.values()}
    for row in _rows(report):
        if (key := str(row[kind.key])) in keys:
            for column, name in kind.columns.items():
                counts.setdefault(_name(kind, row[kind.split]) if kind.split else name, {})[key] = row[column]
    return counts


def _name(kind: Kind, stated: str | None) -> str:
    return kind.unnamed if stated is None else stated


def _fold(counts: NamedCounts, others: str) -> NamedCounts:
    """Keep the largest series, largest first, and make one of the rest; where `others` has no name, change nothing."""
    if not others:
        return counts
    order = sorted(counts, key=lambda name: (-sum(counts[name].values()), name))
    kept, rest = order[:NAMED_SERIES], order[NAMED_SERIES:]
    folded = {name: counts[name] for name in kept}
    if rest:
        total = Counter[str]()
        for name in rest:
            total.update(counts[name])
        folded[f"{others} ({len(rest)})"] = dict(total)
    return folded


def _fold_shares(shares: Sequence[Share], others: str) -> Sequence[Share]:
    """Keep the largest, and make one of the rest; where `others` has no name, change nothing, nor their order."""
    if not others:
        return shares
    order = sorted(shares, key=lambda one: (-one.count, one.name))
    kept, rest = order[:NAMED_SERIES], order[NAMED_SERIES:]
    if rest:
        count, percent = sum(one.count for one in rest), sum(one.percent for one in rest)
        kept.append(Share(f"{others} ({len(rest)})", count, round(percent, 1)))
    return kept


def _inside(axis: TimeAxis, off: Sequence[Span]) -> tuple[Stretch, ...]:
    """Return what of the times without tracking falls on the axis; one without an end goes on."""
    first, last = (datetime.combine(day, time(), UTC) for day in (axis.firsts[0], axis.end))
    cut = ((max(span.begin, first), min(span.end or last, last)) for span in off)
    return tuple((begin, end) for begin, end in cut if begin < end)


def _unfinished(kind: Kind, axis: TimeAxis, as_of: datetime | None) -> Iterator[str]:
    """Say of a last day or month that goes on that it does, lest it be read as a fall."""
    if as_of and as_of.date() < axis.end:
        yield f"The last {'month' if kind.key == MONTH else 'day'} is not over."


def _describe(kind: Kind, keys: Sequence[str], series: Sequence[Series], is_gapped: bool) -> str:
    """Put the chart in words, for who does not see it."""
    ranges = (f"{one.name} from {min(one.values):,} to {max(one.values):,}, last {one.values[-1]:,}" for one in series)
    gap = " Tracking was off for a part of this time." if is_gapped else ""
    return f"{kind.title}, {keys[0]} to {keys[-1]}: {'; '.join(ranges)}.{gap}"
