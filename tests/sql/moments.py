"""The moments at which a report is easy to get wrong: midnights, month ends, changes of clock. No rows here."""

from datetime import UTC, datetime, timedelta
from typing import Any

AS_OF = datetime(2024, 3, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
MIDNIGHTS = [
    datetime(2024, 1, 1, tzinfo=UTC),  # a year ends
    datetime(2024, 2, 29, tzinfo=UTC),  # a leap day begins
    datetime(2024, 3, 1, tzinfo=UTC),  # and ends with its month
    datetime(2024, 3, 30, 23, tzinfo=UTC),  # midnight in Berlin, of the day that lacks an hour
    datetime(2024, 3, 31, 22, tzinfo=UTC),  # and of the next
    datetime(2024, 10, 26, 22, tzinfo=UTC),  # midnight in Berlin, of the day that has one more
    datetime(2024, 10, 27, 23, tzinfo=UTC),
    datetime(2024, 11, 3, 4, tzinfo=UTC),  # midnight in New York, likewise
]
MOMENTS = [midnight + step for midnight in MIDNIGHTS for step in (-TICK, timedelta(), timedelta(minutes=30))]
BOT_DAY = datetime(2024, 6, 1, 12, tzinfo=UTC)
SIGNUP_DAY = datetime(2024, 6, 2, 12, tzinfo=UTC)

Row = dict[str, Any]
