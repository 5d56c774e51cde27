"""Whatever happened in Postgres, every table is the one that a build from the start would give.

Refreshes are production's, over all models and checks. Which days are built anew, and why, is `test_incremental`.
"""

import os
import random
from collections.abc import Callable

import psycopg
import pytest

from tests.sql import histories, state_history
from tests.sql.conftest import Models
from tests.sql.production import Production, project_of
from warehouse.archive.seal import seal

# `make drill` tries more, checks and compares after each refresh, and not only after the last
ROUNDS = int(os.environ.get("DRILL_ROUNDS", "0"))
HISTORIES, IS_DRILL = 1 + ROUNDS // 30, ROUNDS > 0
TIMEZONES = ("Europe/Berlin", "America/New_York", "UTC", "Asia/Kathmandu")
NIGHTLY = (False, True)


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_every_table_equals_its_full_rebuild(
    make_models: Callable[[], Models], database_url: str, database: psycopg.Connection, seed: int
) -> None:
    chance, timezone = random.Random(seed), TIMEZONES[seed % len(TIMEZONES)]
    models = make_models()
    project = project_of(models.home, models.manifest, timezone)
    production = Production(models, database_url, timezone, project)
    histories.make_partitions(database)
    state_history.give_points(database)
    live(database, chance, 30)
    histories.insert_rows(database, chance, 10, received_at=f"{histories.ENDED_DAY} 12:00Z")
    state_history.settle_ledger(database)
    assert production.refresh(compare_keys=False, checked=False) == []
    with psycopg.connect(database_url) as late:
        histories.insert_rows(late, chance, 5)
        state_history.settle_ledger(late)
        histories.repeat_rows(database, chance)
        state_history.change_state(database, chance)
        # every second history finds deleted rows at once, the others by the second refresh
        assert production.refresh(compare_keys=NIGHTLY[seed % 2], checked=IS_DRILL) == []
        assert not IS_DRILL or production.differences() == {}
    assert len(seal(database_url, models.warehouse_path)) == len(histories.EVENT_TABLES)
    histories.insert_rows(database, chance, 5, received_at=f"{histories.ENDED_DAY} 13:00Z")
    live(database, chance, 3)
    assert production.refresh(compare_keys=NIGHTLY[1 - seed % 2]) == []
    assert production.differences() == {}


def live(database: psycopg.Connection, chance: random.Random, count: int) -> None:
    """Let rows come to all tables, and some of them change or go."""
    histories.insert_rows(database, chance, count)
    histories.repeat_rows(database, chance)
    state_history.change_state(database, chance)
    state_history.settle_ledger(database)
