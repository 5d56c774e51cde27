"""How a chart looks: Vega-Lite specs out of named numbers.

What a chart is about is `charts.py`; its colours and fonts are `static/charts.js`. Places on the time axis are epoch
milliseconds of UTC, reckoned here: a browser's own time zone moves nothing. No name that an app sent becomes part of an
expression: Vega-Lite makes expressions of titles and of columns' names, and escapes too little.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal

Spec = dict[str, Any]
Mark = Literal["lines", "bars", "stack"]
Stretch = tuple[datetime, datetime]
"""From when until when tracking was off, within the axis."""

MARKED_DAYS = 62
"""The most days of which each has a point or a bar; more are drawn as lines and areas."""

NAMED_DAYS = 92
"""The most days of which each may be named on the axis; beyond, months are."""

FEW = 5
"""Up to this count an axis names each number: left alone, Vega puts halves between them."""

DAY_LABEL = "utcFormat(datum.value, '%-d %b')"
MONTH_LABEL = "[utcFormat(datum.value, '%b'), utcFormat(datum.value, '%Y')]"
"""Two lines, so that six months fit side by side on a phone."""

TOLD: Spec = {"content": "data"}
"""A tooltip of all that is known of the place pointed at; `charts.js` makes words of it."""

OVER_ALL: Spec = {"y": {"value": 0}, "y2": {"value": {"expr": "height"}}}


@dataclass(frozen=True, slots=True)
class Series:
    """What is counted, and its count for each day or month of the axis."""

    name: str
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Share:
    """A part of a whole; `percent` has one decimal."""

    name: str
    count: int
    percent: float


@dataclass(frozen=True, slots=True)
class TimeAxis:
    """Days or months without gaps, each given by its first day."""

    firsts: tuple[date, ...]
    end: date
    """The first day after them."""
    title: str
    label: str
    """What one is called on the axis: an expression of Vega's."""
    pattern: str
    """What one is called where somebody points at it: a pattern of strftime."""


def day_axis(days: Sequence[date]) -> TimeAxis:
    """Lay out days."""
    label = DAY_LABEL if len(days) <= NAMED_DAYS else MONTH_LABEL
    return TimeAxis(tuple(days), days[-1] + timedelta(1), "Day (UTC)", label, "%a %-d %b %Y")


def month_axis(months: Sequence[date]) -> TimeAxis:
    """Lay out months."""
    return TimeAxis(tuple(months), (months[-1] + timedelta(31)).replace(day=1), "Month (UTC)", MONTH_LABEL, "%b %Y")


def draw_time(mark: Mark, axis: TimeAxis, series: Sequence[Series], title: str, off: Sequence[Stretch]) -> Spec:
    """Draw counts over time; `title` is that of the vertical axis, `off` the times to mark as without tracking."""
    x, rows = _time_encoding(axis), _rows(axis, series)
    counts = zip(*(one.values for one in series), strict=True)
    top = max(sum(each) if mark == "stack" else max(each) for each in counts)
    layers = [*_bands(x, off), _marks(mark, x, _count_encoding(top, title), series, len(rows)), _pointer(x)]
    told = [(f"s{number}", one.name) for number, one in enumerate(series)]
    return _spec(220, rows, "when", told) | {"layer": layers}


def draw_shares(shares: Sequence[Share], part: str, title: str) -> Spec:
    """Draw the parts of a whole as bars, each below its name and numbers; `part` and `title` name the axes."""
    rows = [{"part": one.name, "count": one.count, "percent": f"{one.percent:.1f}%"} for one in shares]
    for row in rows:
        row["words"] = f"{row['count']:,} · {row['percent']}"
    y = {"field": "part", "type": "nominal", "sort": None, "axis": {"title": part, "labels": False, "domain": False}}
    count = _count_encoding(max(one.count for one in shares), title)
    layers = [
        {"mark": {"type": "bar", "style": "share", "tooltip": TOLD}, "encoding": {"x": count | {"field": "count"}}},
        _words("part", "left", {"value": 0}),
        _words("words", "right", {"value": {"expr": "width"}}),
    ]
    told = [("count", title), ("percent", "Share")]
    return _spec(44 * len(rows), rows, "part", told) | {"encoding": {"y": y}, "layer": layers}


def _words(field: str, align: str, x: Spec) -> Spec:
    mark = {"type": "text", "style": "words", "align": align, "limit": {"expr": "0.6 * width"}}
    return {"mark": mark, "encoding": {"text": {"field": field}, "x": x}}


def _spec(height: int, rows: Sequence[Spec], head: str, told: Sequence[tuple[str, str]]) -> Spec:
    """Begin a spec; a tooltip has `head` for its title, and below it the columns that are told with their names."""
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "width": "container",
        "height": height,
        "autosize": {"type": "fit-x", "contains": "padding"},
        "data": {"values": rows},
        "usermeta": {"head": head, "told": told},
    }


def _ms(when: date) -> int:
    if not isinstance(when, datetime):
        when = datetime.combine(when, time(), UTC)
    return int(when.timestamp() * 1000)


def _rows(axis: TimeAxis, series: Sequence[Series]) -> list[Spec]:
    """Make a row a day or month: where it begins and ends, its name, and the counts as s0, s1, …."""
    rows = []
    for at, (first, end) in enumerate(zip(axis.firsts, (*axis.firsts[1:], axis.end), strict=True)):
        begin, end_ms = _ms(first), _ms(end)
        place = {"begin": begin, "middle": (begin + end_ms) // 2, "end": end_ms, "when": format(first, axis.pattern)}
        rows.append(place | {f"s{number}": one.values[at] for number, one in enumerate(series)})
    return rows


def _time_encoding(axis: TimeAxis) -> Spec:
    borders = [_ms(first) for first in (*axis.firsts, axis.end)]
    named = [
        (begin + end) // 2
        for first, begin, end in zip(axis.firsts, borders, borders[1:], strict=False)
        if axis.label == DAY_LABEL or first.day == 1
    ]
    scale = {"domain": [borders[0], borders[-1]], "nice": False, "zero": False}
    return {
        "type": "quantitative",
        "scale": scale,
        "axis": {"values": named, "labelExpr": axis.label, "title": axis.title},
    }


def _count_encoding(top: int, title: str) -> Spec:
    """Lay out an axis of counts: thousands apart, and no half logins."""
    ticks: Spec = {"values": list(range(top + 1))} if top <= FEW else {"tickCount": 5}
    axis = ticks | {"format": ",d", "title": title}
    return {"type": "quantitative", "scale": {"domain": [0, top], "nice": True}, "axis": axis}


def _marks(mark: Mark, x: Spec, count: Spec, series: Sequence[Series], length: int) -> Spec:
    """Draw one line a series, or one part of each bar."""
    key = {"field": "series", "type": "nominal", "scale": {"domain": [one.name for one in series]}, "legend": None}
    encoding: Spec = {"x": x | {"field": "middle"}, "y": count | {"field": "count"}, "color": key}
    if mark == "stack":
        encoding["y"]["stack"] = "zero"
        encoding["order"] = {"field": "key"}
    return {"transform": _named(series), "encoding": encoding, "layer": _shapes(mark, key, length)}


def _shapes(mark: Mark, key: Spec, length: int) -> list[Spec]:
    """Choose what the counts are drawn as. Each of few days has a point: one alone would have no line."""
    if mark != "lines":
        width = {"expr": f"max(1, min(64, 0.8 * width / {length}))"}
        return [{"mark": {"type": "bar", "width": width} if length <= MARKED_DAYS else {"type": "area"}}]
    points = {"mark": {"type": "point"}, "encoding": {"shape": key}}
    return [{"mark": {"type": "line"}}, *([points] if length <= MARKED_DAYS else [])]


def _named(series: Sequence[Series]) -> list[Spec]:
    """Turn a row's columns into rows, and their keys into names."""
    keys = [{"key": f"s{number}", "series": one.name} for number, one in enumerate(series)]
    names = {"data": {"values": keys}, "key": "key", "fields": ["series"]}
    return [
        {"fold": [one["key"] for one in keys], "as": ["key", "count"]},
        {"lookup": "key", "from": names},
    ]


def _pointer(x: Spec) -> Spec:
    """Draw an unseen column over each day, for who points there."""
    places = OVER_ALL | {"x": x | {"field": "begin"}, "x2": {"field": "end"}}
    return {"name": "pointer", "mark": {"type": "rect", "style": "pointer", "tooltip": TOLD}, "encoding": places}


def _bands(x: Spec, off: Sequence[Stretch]) -> list[Spec]:
    """Mark the times without tracking, behind all else."""
    rows = [{"begin": _ms(begin), "end": _ms(end)} for begin, end in off]
    places = OVER_ALL | {"x": x | {"field": "begin"}, "x2": {"field": "end"}}
    return [{"data": {"values": rows}, "mark": {"type": "rect", "style": "off"}, "encoding": places}] if rows else []
