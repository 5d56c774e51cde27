"""The arithmetic of growth, and that the page says what follows from the costs that stand on it."""

import math
from dataclasses import asdict, fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.growth import growth_tables, markdown, read_page, share_told, told, with_tables
from benchmarks.growth_chart import draw
from benchmarks.growth_model import (
    CORES,
    DECADES,
    PEAK_FACTOR,
    Costs,
    Line,
    Stage,
    bill,
    cost_rows,
    first_full,
    fit,
    pays_from,
    peak_events_per_second,
    read_costs,
    stages,
)

PAGE = Path(__file__).parents[2] / "docs" / "scale.md"
PNG = b"\x89PNG\r\n\x1a\n"

positive = st.floats(min_value=0.01, max_value=10_000)
any_costs = st.builds(Costs, **{each.name: positive for each in fields(Costs)})
any_events = st.floats(min_value=1, max_value=1e12)


def some_costs(**changed: float) -> Costs:
    """Costs of one of everything."""
    return replace(Costs(**{each.name: 1.0 for each in fields(Costs)}), **changed)


def stage(costs: Costs, name: str) -> Stage:
    return next(each for each in stages(costs) if each.name == name)


@given(any_costs, any_events, any_events)
def test_more_events_never_take_a_smaller_share(costs: Costs, few: float, many: float) -> None:
    few, many = sorted((few, many))
    assert all(each.share(few) <= each.share(many) for each in stages(costs))


@given(any_costs)
def test_stage_is_full_where_its_share_is_one(costs: Costs) -> None:
    for each in stages(costs):
        if each.idle_share < 1:
            assert each.share(each.full_at()) == pytest.approx(1)
        else:
            assert each.full_at() == 0


@given(any_costs, any_events)
def test_first_full_stage_is_the_fullest_of_those_past_one(costs: Costs, events: float) -> None:
    path = stages(costs)
    found = first_full(path, events)
    if found is None:
        assert all(each.share(events) < 1 for each in path)
    else:
        assert found.share(events) == max(each.share(events) for each in path)


@given(
    any_costs, any_events, st.sampled_from([each.name for each in fields(Costs) if each.name != "disk_mb_per_second"])
)
def test_dearer_events_never_take_a_smaller_share(costs: Costs, events: float, name: str) -> None:
    dearer = replace(costs, **{name: getattr(costs, name) * 2})
    pairs = zip(stages(costs), stages(dearer), strict=True)
    assert all(cheap.share(events) <= dear.share(events) for cheap, dear in pairs)


def test_peak_second_has_factor_times_the_mean() -> None:
    assert peak_events_per_second(86_400) == PEAK_FACTOR


def test_one_core_second_a_peak_second_is_one_of_the_cores() -> None:
    costs = some_costs(batch_us=1_000_000)
    assert stage(costs, "accept, batches of 100").share(86_400 / PEAK_FACTOR) == pytest.approx(1 / CORES)


def test_drainer_and_its_postgres_take_turns_on_one_core() -> None:
    costs = some_costs(drain_us=400_000, drain_postgres_us=600_000)
    assert stage(costs, "drain").share(86_400 / PEAK_FACTOR) == pytest.approx(1)


def test_postgres_disk_has_ninety_days_and_a_week_of_ids() -> None:
    costs = some_costs(postgres_bytes=1000, event_id_bytes=100)
    assert stage(costs, "Postgres, disk").full_at() == pytest.approx(1e12 / (90 * 1000 + 7 * 100))


def test_refresh_without_an_event_takes_its_fixed_seconds() -> None:
    costs = some_costs(duckdb_seconds=20, publish_seconds=10)
    assert stage(costs, "refresh on DuckDB").share(0) == pytest.approx(30 / 300)


def test_refresh_that_is_late_without_an_event_is_full_at_none() -> None:
    assert stage(some_costs(spark_seconds=301), "refresh on Spark").full_at() == 0


@given(any_costs, any_events)
def test_twice_the_events_cost_twice_the_cores_and_bytes(costs: Costs, events: float) -> None:
    once, twice = asdict(bill(costs, events)), asdict(bill(costs, 2 * events))
    constant = {"published_mb_a_year"}
    assert all(twice[name] == pytest.approx(2 * value) for name, value in once.items() if name not in constant)
    assert all(twice[name] == once[name] for name in constant)


def test_bill_is_in_terabytes_and_busy_cores() -> None:
    costs = some_costs(parquet_bytes=25, postgres_bytes=300, event_id_bytes=0, batch_us=30, drain_us=30)
    found = bill(costs, 86_400 * 10_000 / PEAK_FACTOR)
    assert found.peak_events_per_second == pytest.approx(10_000)
    assert found.ingest_cores == pytest.approx(10_000 * 60e-6 / 0.6)
    assert found.hot_tb == pytest.approx(found.events_a_day * 300 * 90 / 1e12)
    assert found.sealed_tb_a_year == pytest.approx(found.events_a_day * 25 * 365 / 1e12)


def test_no_cores_build_within_less_than_the_fixed_seconds() -> None:
    found = bill(some_costs(spark_seconds=400), 1e6)
    assert found.spark_cores == math.inf
    assert found.spark_late_cores < math.inf


@given(st.floats(0, 100), st.floats(0, 1), st.floats(1, 1e6), st.floats(1, 1e6))
def test_line_goes_through_both_measurements(fixed: float, an_event: float, few: float, more: float) -> None:
    line = Line(fixed, an_event)
    found = fit((few, line.seconds(few)), (few + more, line.seconds(few + more)))
    assert found.seconds(few) == pytest.approx(line.seconds(few))
    assert found.seconds(few + more) == pytest.approx(line.seconds(few + more))


def test_noise_makes_no_slope_negative() -> None:
    assert fit((1_000, 10.0), (2_000, 9.0)) == Line(10.0, 0.0)


def test_spread_pays_from_where_both_take_as_long() -> None:
    alone, spread = Line(5, 1e-6), Line(60, 3e-6)
    events = pays_from(alone, spread, 6)
    assert alone.seconds(events) == pytest.approx(60 + 3e-6 / 6 * events)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_spread_never_pays_on_too_few_machines(times: int) -> None:
    assert pays_from(Line(5, 1e-6), Line(60, 3e-6), times) == math.inf


@given(st.floats(1, 100), st.floats(1, 100))
def test_spread_pays_sooner_on_more_machines(few: float, more: float) -> None:
    alone, spread = Line(5, 1e-6), Line(60, 3e-6)
    assert pays_from(alone, spread, few + more) <= pays_from(alone, spread, few)


@pytest.mark.parametrize(
    ("share", "words"), [(0.001, "<1%"), (0.034, "3%"), (1.0, "100%"), (1.94, "194%"), (23.4, "23 times")]
)
def test_share_is_told_in_percent_or_machines(share: float, words: str) -> None:
    assert share_told(share) == words


@pytest.mark.parametrize(
    ("events", "words"),
    [(0, "0"), (123_456, "120,000"), (37_400_000, "37 million"), (996_000_000, "1 billion"), (math.inf, "never")],
)
def test_events_are_told_with_two_digits(events: float, words: str) -> None:
    assert told(events) == words


@given(any_costs)
def test_costs_are_read_back_as_they_were_written(costs: Costs) -> None:
    found = read_costs({label: value for label, value, _ in cost_rows(costs)})
    assert asdict(found) == pytest.approx(asdict(costs), rel=1e-3)


def test_page_without_a_cost_names_what_is_missing() -> None:
    label, *_ = cost_rows(some_costs())[0]
    with pytest.raises(KeyError, match=label):
        read_costs({name: value for name, value, _ in cost_rows(some_costs()) if name != label})


def test_tables_of_a_page_are_replaced_and_the_rest_stays() -> None:
    page = "# A\n\n| one | x |\n|---|--:|\n| old | 1 |\n| old | 2 |\n\nbetween\n\n| two | y |\n|---|--:|\n"
    new = [[("one", "x"), ("new", "3")], [("two", "y"), ("new", "4")]]
    assert with_tables(page, new) == (
        "# A\n\n| one | x |\n|---|--:|\n| new | 3 |\n\nbetween\n\n| two | y |\n|---|--:|\n| new | 4 |\n"
    )


def test_page_says_what_follows_from_its_measured_costs() -> None:
    lines = PAGE.read_text().splitlines()
    wanted = [line for rows in growth_tables(read_page(PAGE)) for line in markdown(rows)]
    assert [line for line in wanted if line not in lines] == []


def test_chart_is_a_picture_of_all_stages() -> None:
    assert draw(stages(some_costs()), DECADES, told, share_told).startswith(PNG)
