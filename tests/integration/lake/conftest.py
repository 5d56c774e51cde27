"""Homes with hot rows in the lake: three days, two of them ended."""

from pathlib import Path

import psycopg
import pytest

from tests.integration.archive.sealing import DAY, OTHER_DAY, days_ago, fill
from tests.integration.lake.lakes import LakeHome


@pytest.fixture
def empty_lake(database_url: str, tmp_path: Path) -> LakeHome:
    """One that was never loaded."""
    return LakeHome(tmp_path / "home", database_url)


@pytest.fixture
def filled_lake(database: psycopg.Connection, empty_lake: LakeHome) -> LakeHome:
    """One that was never loaded, from a Postgres with rows that are easy to hash wrongly."""
    for day in (OTHER_DAY, DAY, days_ago(0)):
        fill(database, day)
    return empty_lake


@pytest.fixture
def lake(filled_lake: LakeHome) -> LakeHome:
    """One that is loaded, and whose ended days are closed."""
    filled_lake.load_closed()
    return filled_lake
