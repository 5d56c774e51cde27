"""Marks of ended days follow Postgres's clock, also after it was wrong."""

import psycopg
import pytest

from tests.integration.archive.sealing import EVENTS, TODAY, Home, days_ago
from warehouse.archive import days


def test_clock_once_ahead_seals_no_open_day(
    database: psycopg.Connection, own_home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as wrong:
        wrong.setattr(days, "GRACE_MINUTES", -400 * 24 * 60)
        own_home.load()
    assert own_home.ask("SELECT max(ended_date) FROM meta.day_marks")[0][0] > TODAY
    database.execute(EVENTS, {"day": days_ago(0), "count": 2})
    own_home.load()
    assert not [path for path in own_home.seal() if str(TODAY) in path]
