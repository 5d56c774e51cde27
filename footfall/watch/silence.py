"""When ingest is silent: no event of a person for longer than usual for these hours. Pure; Postgres counts.

The rule, as docs/operations.md has it. Of each UTC hour it is known how many events of people usually come in it: the
median of that hour over the last 14 whole days, or what the same weekday's hour had one or two weeks ago (the larger of
both), whichever is less. An hour that has none on more than half of the days is one that usually has none. Ingest is
silent when since the last event of a person at least 12 events usually come, and at least 15 minutes lie in hours that
usually have some. Nothing is usual before 7 whole days are counted.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from statistics import median

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
USUAL_DAYS = 14
FIRST_DAYS = 7
EXPECTED_COUNT = 12.0
LEAST_SECONDS = 900.0
# further back nothing more is learned: a silence of a day is one
FURTHEST = DAY


def usual_count(counts: Mapping[datetime, int], hour: datetime) -> float:
    """Return how many events of people usually come in the UTC hour that begins then; 0 in the first days of all."""
    first = min(counts, default=hour)
    # the first day counted was not there whole
    days = [n for n in range(1, USUAL_DAYS + 1) if hour - n * DAY >= _midnight(first) + DAY]
    if len(days) < FIRST_DAYS:
        return 0.0
    weekday = [counts.get(hour - n * DAY, 0) for n in days if n % 7 == 0]
    return min(float(median(counts.get(hour - n * DAY, 0) for n in days)), float(max(weekday)))


def silent_seconds(counts: Mapping[datetime, int], since: datetime, now: datetime) -> float | None:
    """Return for how long nothing came in hours that usually have events; None where that is no longer than usual.

    `since` is the time of the last event of a person, or when somebody began to watch, if that is later.
    """
    expected, seconds = 0.0, 0.0
    for begin, end in _hours(max(since, now - FURTHEST), now):
        part = (end - begin).total_seconds()
        usual = usual_count(counts, _hour(begin))
        expected += usual * part / HOUR.total_seconds()
        seconds += part if usual else 0.0
    return seconds if expected >= EXPECTED_COUNT and seconds >= LEAST_SECONDS else None


def _hours(since: datetime, now: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Cut a time at full hours."""
    begin = since
    while begin < now:
        end = min(_hour(begin) + HOUR, now)
        yield begin, end
        begin = end


def _hour(moment: datetime) -> datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _midnight(moment: datetime) -> datetime:
    return _hour(moment).replace(hour=0)
