"""Events that earn by rules while others hold the balances: rules that change, drainers that meet or are killed."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine

from ingest_app.database import DRAINING, make_engine
from ingest_app.drain.drainer import Drainer
from ingest_app.rewards.rules import Rule
from tests.integration.earning import CAPPED, PRESS, a_press, balances, make
from tests.integration.spools import a_part, a_spool
from tests.integration.test_drain import count, drain, holding_up, wait_until


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url, options=DRAINING)
    yield made
    made.dispose()


@pytest.fixture
def drainer(engine: Engine, tmp_path: Path) -> Iterator[Drainer]:
    with closing(Drainer(engine, tmp_path)) as made:
        yield made


def test_drainer_killed_before_commit_has_given_nothing(
    engine: Engine, database: psycopg.Connection, database_url: str, drainer: Drainer, tmp_path: Path
) -> None:
    make(engine, PRESS)
    a_spool(tmp_path, a_part(a_press(), a_press()))
    with holding_up(database, database_url, tmp_path) as victim:
        victim.kill()
    wait_until(
        lambda: not database.execute("SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted").rowcount
    )
    assert balances(database) == {}
    drain(drainer)
    assert (balances(database), count(database, "tracking_events")) == ({7: 20}, 2)


def test_rule_that_changes_meanwhile_changes_no_batch(
    engine: Engine, database: psycopg.Connection, database_url: str, drainer: Drainer, tmp_path: Path
) -> None:
    make(engine, PRESS)
    a_spool(tmp_path, a_part(a_press(7), a_press(9, event_name="other")))
    draining = threading.Thread(target=drain, args=(drainer,))
    with psycopg.connect(database_url) as holder:
        holder.execute("INSERT INTO user_points (user_id) VALUES (7)")
        draining.start()
        wait_until(lambda: is_waiting(database))
        make(engine, Rule("button", "press", 1), Rule("button", "other", 100))
    draining.join(30)
    assert balances(database) == {7: 10}


def test_cap_counts_what_was_earned_while_waiting(
    engine: Engine, database: psycopg.Connection, database_url: str, drainer: Drainer, tmp_path: Path
) -> None:
    make(engine, CAPPED)
    a_spool(tmp_path, a_part(a_press(), a_press(), a_press()))
    draining = threading.Thread(target=drain, args=(drainer,))
    with psycopg.connect(database_url) as other:
        # what another drainer does with two events of this user
        other.execute("INSERT INTO user_points (user_id, points) VALUES (7, 20)")
        other.execute("""
            INSERT INTO user_point_logs (user_id, action, points, rule_id)
            SELECT 7, 'earn', 10, r.id FROM point_rules r, generate_series(1, 2)
        """)
        draining.start()
        wait_until(lambda: is_waiting(database))
    draining.join(30)
    assert balances(database) == {7: 30}


def test_two_drainers_at_once_keep_the_cap(
    engine: Engine, database: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    make(engine, Rule("button", "press", 10, daily_cap=95), Rule("visit", "open", 1))
    users, failures = range(1, 13), []

    def work(folder: Path, *, backwards: bool) -> None:
        mine = make_engine(database_url, options=DRAINING)
        people = list(reversed(users)) if backwards else list(users)
        try:
            with closing(Drainer(mine, folder)) as drainer:
                for _ in range(12):
                    presses = [a_press(user_id) for user_id in people]
                    visits = [a_press(user_id, event_type="visit", event_name="open") for user_id in people]
                    a_spool(folder, a_part(*presses, *visits))
                    drain(drainer)
        except Exception as error:
            failures.append(error)
        finally:
            mine.dispose()

    folders = [tmp_path / name for name in ("first", "second")]
    workers = [threading.Thread(target=work, args=(f,), kwargs={"backwards": n == 1}) for n, f in enumerate(folders)]
    for folder, worker in zip(folders, workers, strict=True):
        folder.mkdir()
        worker.start()
    for worker in workers:
        worker.join(60)
    assert failures == []
    assert balances(database) == dict.fromkeys(users, 90 + 24)
    assert count(database, "tracking_events") == 2 * 12 * 2 * 12


def is_waiting(database: psycopg.Connection) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return database.execute(waiting).fetchone() == (1,)
