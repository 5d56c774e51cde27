"""The bounds of an event's time, to the microsecond."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_app.event_time import settle

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
OLDEST = NOW - timedelta(days=90)
TICK = timedelta(microseconds=1)
TIMES = st.datetimes(datetime(1900, 1, 2), timezones=st.just(UTC))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("created_at", "oldest", "expected"),
    [
        (None, OLDEST, (NOW, False)),
        (NOW + timedelta(minutes=5), OLDEST, (NOW + timedelta(minutes=5), False)),
        (NOW + timedelta(minutes=5) + TICK, OLDEST, (NOW, True)),
        (OLDEST, OLDEST, (OLDEST, False)),
        (OLDEST - TICK, OLDEST, (NOW, True)),
        (OLDEST - timedelta(days=3650), None, (OLDEST - timedelta(days=3650), False)),
        (NOW + timedelta(minutes=5) + TICK, None, (NOW, True)),
    ],
)
def test_event_time_is_believed_within_bounds(
    created_at: datetime | None, oldest: datetime | None, expected: tuple[datetime, bool]
) -> None:
    assert settle(created_at, None, NOW, oldest) == expected


@given(age=st.timedeltas(timedelta(0), timedelta(days=80)), skew=st.timedeltas(-timedelta(days=9), timedelta(days=9)))
def test_clock_error_cancels_out(age: timedelta, skew: timedelta) -> None:
    sent_at = NOW + skew
    assert settle(sent_at - age, sent_at, NOW, OLDEST) == (NOW - age, False)


@given(created_at=st.none() | TIMES, sent_at=st.none() | TIMES, oldest=st.none() | st.just(OLDEST))
def test_settled_time_is_always_within_bounds(
    created_at: datetime | None, sent_at: datetime | None, oldest: datetime | None
) -> None:
    settled, adjusted = settle(created_at, sent_at, NOW, oldest)
    assert settled <= NOW + timedelta(minutes=5)
    assert oldest is None or settled >= oldest
    assert not adjusted or settled == NOW
