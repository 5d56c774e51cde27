"""Small worlds, drawn at random and told here by name: every mart equals the seed's SQL in each of them.

The models' own SQL is looked at through views, which takes a hundredth of a build. DRILL_ROUNDS draws more worlds,
from DRILL_SEED.
"""

import os
from collections.abc import Callable

import duckdb
import psycopg
import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.sql.conftest import Models, Rows
from tests.sql.seed_sql import ORACLE, in_order, seed_rows
from tests.sql.views import make_views
from tests.sql.worlds import NAMED, STAGES, Stage, World, copy_all, replace_all, setting, worlds

ROUNDS = int(os.environ.get("DRILL_ROUNDS", "6"))
SEED = int(os.environ.get("DRILL_SEED", "0"))


@pytest.fixture(scope="module", params=sorted(STAGES))
def stage(request: pytest.FixtureRequest) -> Stage:
    return STAGES[str(request.param)]


@pytest.fixture(scope="module")
def views(make_models: Callable[[], Models], module_database: psycopg.Connection, stage: Stage) -> Models:
    """A warehouse in which every model is a view, so that it shows whatever `raw` holds."""
    models = make_models()
    models.copy_raw(module_database)
    make_views(models, stage.timezone, stage.as_of.isoformat())
    return models


def differences(
    views: Models, database: psycopg.Connection, stage: Stage, world: World
) -> dict[str, tuple[Rows, Rows]]:
    """Return what each mart has and should have, where that is not the same."""
    wrong = {}
    replace_all(database, world)
    with duckdb.connect(str(views.warehouse_path)) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        copy_all(database, connection, views.home / "rows.csv")
        for mart in ORACLE:
            found = in_order(connection.execute(f"FROM marts.{mart}").fetchall())
            wanted = in_order(seed_rows(database, mart, stage.timezone, stage.as_of))
            if found != wanted:
                wrong[mart] = (found, wanted)
    return wrong


@seed(SEED)
@settings(
    max_examples=ROUNDS,
    deadline=None,
    database=None,
    # to look for a smaller world would take longer than a test may
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_marts_of_any_small_world_equal_seed_sql(
    views: Models, module_database: psycopg.Connection, stage: Stage, data: st.DataObject
) -> None:
    assert differences(views, module_database, stage, data.draw(worlds(stage))) == {}


@pytest.mark.parametrize("name", sorted(NAMED))
def test_marts_of_known_small_world_equal_seed_sql(
    views: Models, module_database: psycopg.Connection, stage: Stage, name: str
) -> None:
    assert differences(views, module_database, stage, NAMED[name](stage)) == {}


@pytest.mark.parametrize(("minutes", "expected"), [("30", 4), ("5", 1), (None, 1)])
def test_window_of_now_is_the_settings(
    views: Models, module_database: psycopg.Connection, stage: Stage, minutes: str | None, expected: int
) -> None:
    world = NAMED["heartbeats_around_five_and_thirty_minutes"](stage)
    replace_all(module_database, {**world, "admin_settings": setting(minutes) if minutes else []})
    views.copy_raw(module_database)
    assert views.rows("SELECT active_users_now, visitors_now FROM marts.rpt_totals") == [(expected, expected)]
