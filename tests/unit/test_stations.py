"""What is said of an event that no report counts, or not in full: of a bot's, the canary, one that names no user."""

from datetime import UTC, datetime
from uuid import UUID

import pytest

from footfall.stations import Station, stations
from footfall.tracing import Findings
from warehouse.cursors import Cursor
from warehouse.trace import LoadedEvent
from warehouse.trace_marts import CANARY_APP, MartRow, Published

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
TABLE = "tracking_events"
BOTS_ROW = MartRow("rpt_bot_traffic_daily", {"event_date": "2026-01-01", "app_name": "A"}, {"event_count": 2})


def marts(event: dict[str, object], published: Published | None, **found: object) -> list[Station]:
    values = {"received_at": NOON, "xid": 5, "is_bot": False, "app_name": "A", "user_id": 7, **event}
    findings = Findings(UUID(int=1), loaded=[LoadedEvent(TABLE, values)], **found)  # type: ignore[arg-type]
    findings.cursors = {TABLE: Cursor("9:9:", "1", 1)}
    findings.published = {TABLE: published} if published else {}
    return [station for station in stations(findings) if station.station == "marts"]


@pytest.mark.parametrize(
    ("event", "published", "states", "words"),
    [
        pytest.param({}, None, ["waits"], "nothing is published yet: run `footfall refresh`", id="nothing published"),
        pytest.param({}, Published(NOON, "5:5:"), ["waits"], "is of before its load", id="published before"),
        pytest.param({}, Published(NOON, "4:6:5"), ["waits"], "is of before its load", id="held back then"),
        pytest.param({"app_name": CANARY_APP}, None, ["left_out"], "it is the canary", id="canary"),
        pytest.param(
            {"is_bot": True},
            Published(NOON, "9:9:", [BOTS_ROW], ["rpt_app_usage_daily"]),
            ["counted", "left_out"],
            "left out of rpt_app_usage_daily: it is a bot's",
            id="bot",
        ),
        pytest.param(
            {"user_id": None},
            Published(NOON, "9:9:", [MartRow("rpt_app_usage_daily", {"app_name": "A"}, {"event_count": 1})]),
            ["counted", "no_user"],
            "counted as an event, not as a user",
            id="no user",
        ),
        pytest.param(
            {},
            Published(NOON, "9:9:", [MartRow("rpt_app_usage_daily", {"app_name": "A"}, {})]),
            ["missing"],
            "rpt_app_usage_daily has no row of app_name A, though it should",
            id="row is missing",
        ),
    ],
)
def test_marts_say_why_they_leave_out(
    event: dict[str, object], published: Published | None, states: list[str], words: str
) -> None:
    found = marts(event, published)
    assert [station.state for station in found] == states
    assert words in found[-1].words


def test_place_that_was_not_asked_is_named() -> None:
    [away, nowhere] = stations(Findings(UUID(int=1), not_asked={"postgres": "cannot reach it"}))
    assert (away.state, away.words) == ("not_asked", "could not be asked: cannot reach it")
    assert nowhere.details["reasons"][0] == "it is where nobody could be asked (postgres)"
