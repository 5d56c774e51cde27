"""Postgres's own log says that something was refused, and not of whom it was."""

import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from warehouse.people.erasures import alone
from warehouse.postgres import connect, keep_from_log

NUMBER = "987654321987"
Log = Callable[[], str]


@pytest.fixture
def log(database: psycopg.Connection) -> Log:
    """What the server has written since the test began."""
    if "DATABASE_URL" in os.environ:
        pytest.skip("where another server writes its log is not known")
    [(folder,)] = database.execute("SHOW data_directory").fetchall()
    path = Path(folder) / "log"
    begin = path.stat().st_size
    return lambda: path.read_bytes()[begin:].decode()


def fail(connection: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.DivisionByZero):
        connection.execute(f"SELECT {NUMBER} / 0".encode())


def test_failed_statement_of_erasure_is_not_logged(log: Log, database_url: str) -> None:
    with connect(database_url) as usual:
        fail(usual)
    assert NUMBER in log()
    before = log()
    with alone(database_url) as erasing:
        fail(erasing)
    assert "division by zero" in log().removeprefix(before)
    assert NUMBER not in log().removeprefix(before)


def test_detail_of_refused_row_is_not_logged(log: Log, database: psycopg.Connection) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match=NUMBER):
        database.execute("INSERT INTO users (id, name, user_type) VALUES (%s, 'a', 'nobody')", [int(NUMBER)])
    assert "violates check constraint" in log()
    assert NUMBER not in log()


def test_user_without_the_right_goes_on(database: psycopg.Connection) -> None:
    with database.transaction(force_rollback=True):
        database.execute("CREATE ROLE of_no_rights; SET LOCAL ROLE of_no_rights")
        keep_from_log(database)
        assert database.execute("SHOW log_min_error_statement").fetchone() == ("error",)
