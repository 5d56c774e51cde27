"""When people come: the hours of a school day, of an evening, of a weekend. Who comes and what they do is not here."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Literal

Audience = Literal["student", "teacher", "admin", "guest"]

SECONDS_A_DAY = 24 * 60 * 60
SATURDAY = 5

# weight of each hour of the local day, 0 to 23
SCHOOL_DAY = (0, 0, 0, 0, 0, 0, 1, 4, 9, 10, 10, 9, 7, 8, 6, 4, 5, 6, 6, 6, 5, 3, 1, 0)
WORK_DAY = (0, 0, 0, 0, 0, 1, 3, 8, 10, 9, 9, 8, 5, 8, 7, 5, 3, 2, 2, 3, 4, 3, 1, 0)
LONG_DAY = (1, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 5, 5, 5, 6, 6, 6, 7, 7, 8, 8, 7, 4, 2)
HOURS: Mapping[Audience, tuple[int, ...]] = {
    "student": SCHOOL_DAY,
    "teacher": WORK_DAY,
    "admin": WORK_DAY,
    "guest": LONG_DAY,
}

# how likely a person comes at all, on a school day and on a day of the weekend
PRESENCE: Mapping[Audience, tuple[float, float]] = {
    "student": (0.46, 0.20),
    "teacher": (0.62, 0.14),
    "admin": (0.50, 0.08),
}
GUESTS_A_DAY = (26, 17)


def is_weekend(day: date) -> bool:
    """Saturday and Sunday; the demo knows no holidays."""
    return day.weekday() >= SATURDAY


def comes(dice: Random, audience: Audience, day: date) -> bool:
    """Decide whether a person comes on this day; Fridays and mid-weeks differ a little by themselves."""
    return dice.random() < PRESENCE[audience][is_weekend(day)]


def guest_count(dice: Random, day: date) -> int:
    """Draw how many guests come on this day, a fifth more or less than usual."""
    usual = GUESTS_A_DAY[is_weekend(day)]
    return dice.randint(usual * 4 // 5, usual * 6 // 5)


def arrival(dice: Random, audience: Audience, day: date, utc_offset_minutes: int) -> int:
    """Draw the second of the UTC day at which somebody arrives, by the clock of where they are.

    An hour that falls on the neighbouring UTC day is kept on this one, so that a day's records never leave it.
    """
    hours = LONG_DAY if is_weekend(day) else HOURS[audience]
    local = dice.choices(range(24), hours)[0] * 3600 + dice.randrange(3600)
    return (local - utc_offset_minutes * 60) % SECONDS_A_DAY


def at(day: date, second: int) -> str:
    """Write a moment of a UTC day as records carry it: `2025-03-01T08:15:30Z`; the day's last second is the limit."""
    midnight = datetime.combine(day, time(), UTC)
    moment = midnight + timedelta(seconds=min(second, SECONDS_A_DAY - 1))
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
