"""Reads the named queries of `admin_app/sql/`. No query stands here, and none is run."""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- ([\w-]+) --$", re.MULTILINE)


def live_query(name: str) -> str:
    """Return a query on Postgres about now, by its name in `sql/live.sql`."""
    return _named_queries("live.sql")[name]


def controls_query(name: str) -> str:
    """Return a query on Postgres of the controls, by its name in `sql/controls.sql`."""
    return _named_queries("controls.sql")[name]


def history_query(name: str) -> str:
    """Return a query on the published file for the stats, by its name in `sql/history.sql`."""
    return _named_queries("history.sql")[name]


def reports_query(name: str) -> str:
    """Return a query on the published file for a report, by its name in `sql/reports.sql`."""
    return _named_queries("reports.sql")[name]


@cache
def _named_queries(file_name: str) -> dict[str, str]:
    _, *parts = _NAME.split(files("admin_app").joinpath("sql", file_name).read_text(encoding="utf-8"))
    return dict(zip(parts[::2], (body.strip() for body in parts[1::2]), strict=True))
