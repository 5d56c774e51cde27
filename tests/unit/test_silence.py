"""When ingest is silent: longer than usual for these hours, and never where little is known."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footfall.watch.silence import silent_seconds, usual_count

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
Counts = dict[datetime, int]


def counted(
    day_count: int, before: datetime = MONDAY, night: int = 0, day: int = 100, weekend: int | None = None
) -> Counts:
    """Events of each hour before a midnight: by day from 8 to 20, by night, by day of a weekend."""
    found = {}
    for n in range(24 * day_count):
        hour = before - (n + 1) * HOUR
        by_day = day if weekend is None or hour.weekday() < 5 else weekend
        found[hour] = by_day if 8 <= hour.hour < 20 else night
    return {hour: count for hour, count in found.items() if count}


def silence(counts: Counts, since: datetime, now: datetime) -> float | None:
    return silent_seconds(counts, since, now)


def at(hour: int, minute: int = 0, day: int = 0) -> datetime:
    return MONDAY + timedelta(days=day, hours=hour, minutes=minute)


@pytest.mark.parametrize(("minute", "expected"), [(14, None), (16, 960.0), (40, 2_400.0)])
def test_silence_of_a_quarter_hour_by_day(minute: int, expected: float | None) -> None:
    assert silence(counted(15), at(10), at(10, minute)) == expected


def test_night_without_events_is_not_silent() -> None:
    assert silence(counted(15), at(19, 59), at(23, 59)) is None


def test_morning_is_silent_only_after_a_quarter_hour() -> None:
    counts = counted(15, at(0, day=1))
    assert silence(counts, at(19, 59), at(8, 10, day=1)) is None
    assert silence(counts, at(19, 59), at(8, 16, day=1)) == 60 + 960


def test_few_events_take_longer_to_be_missed() -> None:
    counts = counted(15, day=6)
    assert silence(counts, at(9), at(10, 50)) is None
    assert silence(counts, at(9), at(11)) == 7_200


def test_quiet_weekend_is_not_silent() -> None:
    saturday = MONDAY + timedelta(days=5)
    counts = counted(15, saturday, weekend=0)
    assert usual_count(counts, saturday - timedelta(days=1) + 10 * HOUR) == 100
    assert silence(counts, saturday + 9 * HOUR, saturday + 15 * HOUR) is None


@pytest.mark.parametrize(("days", "is_silent"), [(7, False), (8, True)])
def test_nothing_is_usual_in_the_first_days(days: int, is_silent: bool) -> None:
    # the first day counted may have begun at any hour
    assert (silence(counted(days), at(10), at(12)) is not None) is is_silent
    assert silence({}, at(10), at(12)) is None


def test_one_outage_last_week_does_not_hide_the_next() -> None:
    counts = {hour: count for hour, count in counted(15).items() if hour.date() != (MONDAY - timedelta(days=7)).date()}
    assert silence(counts, at(10), at(11)) == 3_600


hours = st.integers(0, 24 * 15 - 1).map(lambda n: MONDAY - (n + 1) * HOUR)
histories = st.dictionaries(hours, st.integers(0, 1_000), max_size=200)
moments = st.integers(0, 24 * 60).map(lambda minutes: MONDAY + timedelta(minutes=minutes))


@given(histories, moments, moments, st.integers(0, 600))
def test_silence_only_grows_with_time(counts: Counts, one: datetime, other: datetime, more: int) -> None:
    since, now = min(one, other), max(one, other)
    before, later = silence(counts, since, now), silence(counts, since, now + timedelta(minutes=more))
    if before is not None and now + timedelta(minutes=more) - since <= timedelta(days=1):
        assert later is not None
        assert later >= before


@given(histories, moments, moments)
def test_silence_is_at_least_a_quarter_hour(counts: Counts, one: datetime, other: datetime) -> None:
    found = silence(counts, min(one, other), max(one, other))
    assert found is None or 900 <= found <= abs(other - one).total_seconds()


@given(histories, hours)
def test_an_hour_mostly_without_events_has_none(counts: Counts, hour: datetime) -> None:
    days = [hour - timedelta(days=n) for n in range(1, 15)]
    if sum(bool(counts.get(day)) for day in days) < 4:
        assert usual_count(counts, hour) == 0
