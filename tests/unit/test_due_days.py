"""Which days of the event tables are due, and what the setting may be."""

from datetime import date

import pytest

from warehouse.archive.retention import Partition, archive_after_days, due, is_due, partition_day
from warehouse.errors import SettingUnusable

TODAY = date(2026, 6, 30)


@pytest.mark.parametrize(
    ("day", "is_old"), [(date(2026, 3, 31), True), (date(2026, 4, 1), False), (date(2026, 7, 9), False)]
)
def test_day_is_due_ninety_days_after_its_end(day: date, is_old: bool) -> None:
    assert is_due(day, TODAY, 90) is is_old


def test_days_that_began_to_leave_come_first() -> None:
    begun = Partition("tracking_events", date(2026, 1, 9), "detached")
    young = Partition("tracking_events", date(2026, 6, 29), "pending")
    older, newer = (Partition("activity_events", date(2026, 1, day)) for day in (1, 2))
    kept = Partition("activity_events", date(2026, 6, 1))
    apart = Partition("activity_events", date(2026, 6, 2), "detached")
    assert due([older, newer, kept, apart, begun, young], TODAY, 90) == [begun, young, older, newer]


@pytest.mark.parametrize(
    ("name", "day"),
    [("tracking_events_p20260131", date(2026, 1, 31)), ("tracking_events_p20249999", None), ("tracking_events", None)],
)
def test_partition_names_its_day_or_none(name: str, day: date | None) -> None:
    assert partition_day(name) == day


@pytest.mark.parametrize("value", ["29", "0", "-90", "ninety", "90.0", "", " 90", "090", "٩٠", "36501", "9" * 30])
def test_unusable_setting_is_refused(value: str) -> None:
    with pytest.raises(SettingUnusable, match="not a whole number from 30 to 36500"):
        archive_after_days(lambda _: [(value,)])


@pytest.mark.parametrize(("rows", "days"), [([], 90), ([("30",)], 30), ([("36500",)], 36_500)])
def test_setting_says_how_many_days(rows: list[tuple[str]], days: int) -> None:
    assert archive_after_days(lambda _: rows) == days
