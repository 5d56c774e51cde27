"""Charts out of reports: which numbers they show, in which words, as specs that Vega-Lite takes."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import vl_convert

from admin_app.charts import CHARTS, MOST_DAYS, NAMED_SERIES, Chart, make_chart
from admin_app.live import Span
from admin_app.reports import REPORTS
from tests.unit.chart_reports import BEGIN, END, HOSTILE, OFF, a_report, full_chart, full_rows

TIMES = [name for name, kind in CHARTS.items() if not kind.part]


@pytest.mark.parametrize("name", CHARTS)
def test_each_spec_is_taken_by_vega_lite(name: str) -> None:
    spec = full_chart(name).spec
    assert spec is not None
    assert vl_convert.vegalite_to_vega(spec)["marks"]


@pytest.mark.parametrize("name", CHARTS)
def test_no_name_becomes_part_of_an_expression(name: str) -> None:
    evil = "datum.evil"
    rows = [tuple(evil if value == HOSTILE else value for value in row) for row in full_rows(name)]
    spec = make_chart(name, a_report(name, *rows), BEGIN, END).spec
    assert spec is not None
    assert [text for text in _expressions(vl_convert.vegalite_to_vega(spec)) if evil in text] == []


@pytest.mark.parametrize("name", CHARTS)
def test_report_without_rows_draws_nothing(name: str) -> None:
    assert make_chart(name, a_report(name), BEGIN, END).spec is None


def test_zeros_alone_draw_nothing() -> None:
    assert _chart("visitors", (END, 0, 0)).spec is None


def test_day_without_a_row_had_nothing() -> None:
    chart = _chart("activity-by-day", (date(2026, 11, 22), 5, 1), begin=date(2026, 11, 21))
    assert chart.heads == ("Day", "Logins", "Signups")
    assert chart.rows == (("2026-11-21", 0, 0), ("2026-11-22", 5, 1), ("2026-11-23", 0, 0))


def test_months_go_on_past_new_year() -> None:
    chart = _chart("monthly-logins", ("2026-12", 7), begin=date(2026, 11, 30), end=date(2027, 1, 2))
    assert chart.rows == (("2026-11", 0), ("2026-12", 7), ("2027-01", 0))


def test_drawing_has_the_numbers_of_its_table() -> None:
    chart = full_chart("daily-activity")
    assert chart.spec is not None
    drawn = [(row["s0"], row["s1"], row["s2"]) for row in chart.spec["data"]["values"]]
    assert drawn == [row[1:] for row in chart.rows]


def test_days_begin_and_end_at_midnight_utc() -> None:
    spec = _chart("visitors", (END, 1, 1), begin=END).spec
    assert spec is not None
    [day] = spec["data"]["values"]
    assert datetime.fromtimestamp(day["begin"] / 1000, UTC) == datetime(2026, 11, 23, tzinfo=UTC)
    assert day["end"] - day["begin"] == timedelta(1) / timedelta(milliseconds=1)
    assert day["when"] == "Mon 23 Nov 2026"


def test_apps_beyond_the_eighth_are_one() -> None:
    rows = full_rows("app-usage")
    chart = _chart("app-usage", *rows)
    assert len(chart.legend) == NAMED_SERIES + 1
    assert chart.legend[-1] == "Other apps (3)"
    assert sum(int(count) for row in chart.rows for count in row[1:]) == sum(count for *_, count in rows)


def test_largest_app_comes_first() -> None:
    chart = _chart("app-usage", (END, "Small", 1), (END, "Large", 9), (BEGIN, "Small", 2))
    assert chart.legend == ("Large", "Small")


def test_plans_beyond_the_eighth_are_one() -> None:
    chart = full_chart("plan-shares")
    assert chart.rows[0] == ("Name 9", 10_000, "9.1%")
    assert chart.rows[-1] == ("Other plans (3)", 3_000, "27.3%")


@pytest.mark.parametrize(("name", "row"), [("plan-shares", (None, 3, 100.0)), ("plan-history", (END, None, 3))])
def test_subscriptions_without_a_plan_are_called_so(name: str, row: tuple[Any, ...]) -> None:
    chart = _chart(name, row, begin=END)
    assert "No plan" in {*chart.heads, *(cells[0] for cells in chart.rows)}


def test_shares_of_no_accounts_are_zero() -> None:
    chart = _chart("user-status", ("active", 0, None), ("expired", 0, None))
    assert chart.rows == (("active", 0, "0.0%"), ("expired", 0, "0.0%"))
    assert chart.spec is None


def test_statuses_keep_their_order() -> None:
    chart = _chart("user-status", ("active", 1, 10.0), ("expired", 0, 0.0), ("inactive", 9, 90.0))
    assert [part for part, *_ in chart.rows] == ["active", "expired", "inactive"]


@pytest.mark.parametrize("top", [1, 2, 3, 5])
def test_axis_of_few_names_whole_numbers(top: int) -> None:
    spec = _chart("visitors", (END, top, 0)).spec
    assert spec is not None
    axes = vl_convert.vegalite_to_vega(spec)["axes"]
    assert [axis["values"] for axis in axes if axis.get("title") == "Visitors per day"] == [list(range(top + 1))]


def test_single_day_has_a_point() -> None:
    spec = _chart("points", (END, 3, 0), begin=END).spec
    assert "point" in _marks(spec)


def test_long_time_has_lines_alone() -> None:
    spec = _chart("points", (END, 3, 0), begin=END - timedelta(400)).spec
    assert "point" not in _marks(spec)


def test_band_ends_where_the_axis_ends() -> None:
    chart = _chart("visitors", (END, 1, 1), off=(OFF, Span(datetime(2026, 11, 22, tzinfo=UTC), None)))
    assert chart.is_gapped
    assert chart.spec is not None
    first, still_off = chart.spec["layer"][0]["data"]["values"]
    assert first == {"begin": _ms(OFF.begin), "end": _ms(datetime(2026, 11, 15, 22, tzinfo=UTC))}
    assert still_off["end"] == _ms(datetime(2026, 11, 24, tzinfo=UTC))


def test_time_without_tracking_elsewhere_marks_nothing() -> None:
    chart = _chart("visitors", (END, 1, 1), begin=END, off=(OFF,))
    assert not chart.is_gapped
    assert "Tracking was off" not in (chart.spec or {})["description"]


@pytest.mark.parametrize("name", TIMES)
def test_words_say_that_tracking_was_off(name: str) -> None:
    assert "Tracking was off" in (full_chart(name).spec or {})["description"]


def test_words_give_range_and_last_count() -> None:
    spec = _chart("points", (date(2026, 11, 22), 1200, 0), (END, 30, 4), begin=date(2026, 11, 22)).spec
    assert (spec or {})["description"] == (
        "Points by day, 2026-11-22 to 2026-11-23: Earned from 30 to 1,200, last 30; Redeemed from 0 to 4, last 4."
    )


@pytest.mark.parametrize(
    ("as_of", "said"), [(datetime(2026, 11, 23, 23, tzinfo=UTC), True), (datetime(2026, 11, 24, tzinfo=UTC), False)]
)
def test_day_that_goes_on_is_told(as_of: datetime, said: bool) -> None:
    report = a_report("points", (END, 1, 0), as_of=as_of)
    assert ("The last day is not over" in make_chart("points", report, BEGIN, END).description) is said


def test_days_to_come_are_not_drawn() -> None:
    report = a_report("points", (date(2026, 11, 22), 1, 0), as_of=datetime(2026, 11, 22, 8, tzinfo=UTC))
    assert make_chart("points", report, date(2026, 11, 21), date.max).rows == (
        ("2026-11-21", 0, 0),
        ("2026-11-22", 1, 0),
    )


def test_range_to_come_draws_nothing() -> None:
    report = a_report("points", as_of=datetime(2026, 11, 22, 8, tzinfo=UTC))
    assert make_chart("points", report, END, END).spec is None


@pytest.mark.parametrize("end", [END, date(1, 1, 5)])
def test_endless_range_is_cut_and_says_so(end: date) -> None:
    chart = _chart("points", (end, 1, 0), begin=date.min, end=end)
    assert len(chart.rows) == min(MOST_DAYS, end.toordinal())
    assert ("the file has all" in chart.description) is (end == END)


def test_columns_are_those_of_the_reports() -> None:
    unknown = {
        (name, column)
        for name, kind in CHARTS.items()
        for column in (kind.key, *kind.columns, *([kind.split] if kind.split else []))
        if column not in REPORTS[kind.report].columns
    }
    assert unknown == set()


def _chart(
    name: str, *rows: tuple[Any, ...], begin: date = BEGIN, end: date = END, off: tuple[Span, ...] = ()
) -> Chart:
    return make_chart(name, a_report(name, *rows), begin, end, off)


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def _marks(spec: object) -> set[str]:
    if isinstance(spec, dict):
        here = {spec["mark"]["type"]} if isinstance(spec.get("mark"), dict) else set()
        return here.union(*(_marks(value) for value in spec.values()))
    return set().union(*(_marks(one) for one in spec)) if isinstance(spec, list) else set()


def _expressions(vega: object, key: str = "") -> Iterator[str]:
    """Yield all texts of a Vega spec that are expressions."""
    if isinstance(vega, dict):
        for name, value in vega.items():
            yield from _expressions(value, name)
    elif isinstance(vega, list):
        for one in vega:
            yield from _expressions(one, key)
    elif isinstance(vega, str) and key in ("signal", "expr", "update", "test", "init"):
        yield vega
