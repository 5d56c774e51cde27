"""What a report may be asked, and which words tell what it may not."""

from datetime import date

import pytest
from werkzeug.datastructures import MultiDict
from werkzeug.test import EnvironBuilder
from werkzeug.wrappers import Request

from admin_app.errors import ParametersRefused
from admin_app.parameters import Filters, read_filters

KNOWN = ("from", "to", "app", "country", "level", "chapter", "by", "limit", "offset", "format")
DIMENSIONS = ("event_date", "app_name")


def _read(query: str) -> Filters:
    arguments: MultiDict[str, str] = Request(EnvironBuilder(query_string=query).get_environ()).args
    return read_filters(arguments, KNOWN, DIMENSIONS)


@pytest.mark.parametrize(
    ("query", "faults"),
    [
        ("from=2026-02-31", {"from"}),
        ("from=2026-2-1", {"from"}),
        ("from=2026-W05-1", {"from"}),
        ("from=20260201&to=0000-01-01", {"from", "to"}),
        ("from=2026-03-02&to=2026-03-01", {"from"}),
        ("from=10000-01-01", {"from"}),
        ("from=2026-03-01T00:00", {"from"}),
        ("limit=0&offset=-1&page=2", {"limit", "offset", "page"}),
        ("page=", {"page"}),
        ("limit=10001&offset=1000000001", {"limit", "offset"}),
        ("limit=1e3&offset=+1", {"limit", "offset"}),
        ("limit=\u0661", {"limit"}),
        ("limit=" + "9" * 5000, {"limit"}),
        ("app=a&app=b", {"app"}),
        ("app=a%00b", {"app"}),
        (f"country={'x' * 201}", {"country"}),
        ("by=password", {"by"}),
        ("by=app_name,app_name", {"by"}),
        ("by=app_name,", {"by"}),
        ("by=1;DROP TABLE x", {"by"}),
        ("format=xml&limit=x", {"format", "limit"}),
        ("format=csv&format=csv", {"format"}),
    ],
)
def test_bad_parameters_are_named_all_at_once(query: str, faults: set[str]) -> None:
    with pytest.raises(ParametersRefused) as refused:
        _read(query)
    assert set(refused.value.faults) == faults
    assert all(name in str(refused.value) for name in faults)


@pytest.mark.parametrize(
    ("query", "filters"),
    [
        ("", Filters()),
        ("app=&limit=&from=&by=&format=", Filters()),
        ("from=0001-01-01&to=9999-12-31", Filters(from_date=date.min, to_date=date.max)),
        ("from=2024-02-29&to=2024-02-29", Filters(from_date=date(2024, 2, 29), to_date=date(2024, 2, 29))),
        ("by=app_name,event_date", Filters(by=("app_name", "event_date"))),
        ("limit=10000&offset=0&format=csv", Filters(limit=10_000, offset=0, format="csv")),
        ("app=%F0%9F%91%8B%E2%80%AE%25'%22&country=de", Filters(app="\U0001f44b\u202e%'\"", country="de")),
        # what is no UTF-8 is nobody's name, and no fault of ours
        ("app=%ff", Filters(app="%FF")),
    ],
)
def test_sound_parameters_are_taken_as_they_are(query: str, filters: Filters) -> None:
    assert _read(query) == filters


def test_report_refuses_filters_that_it_does_not_know() -> None:
    with pytest.raises(ParametersRefused, match="level: not known here; known are from, to"):
        read_filters(MultiDict({"level": "Level 1"}), ("from", "to"))
