"""A balance that somebody wrote by hand: the refresh names the user and publishes nothing, the doctor has it mended."""

import os
import pwd
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import duckdb
import psycopg
import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from footfall.cli import app
from footfall.doctor import Finding, health
from footfall.ledger import mend_balances
from footfall.settings import load_settings
from ingest_app.database import make_engine
from pipelines.dbt_project import TRANSFORMS, parse
from pipelines.definitions import build_defs
from pipelines.jobs import REFRESH
from pipelines.settings import Settings
from tests.sql import rows, state_rows

CHECK = "assert_ledger_has_no_drift"
LEDGER = {
    *("_sources", "_tests", "stg_user_points", "stg_user_point_logs", "stg_user_credits", "stg_user_credit_logs"),
    *("rpt_points_balances", "rpt_ledger_drift", CHECK, "assert_consumed_points_bought_credits"),
    "assert_reversals_undo_their_rows",
}
Doctor = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models and checks of balances, parsed; the others would be built without a row."""
    folder = tmp_path_factory.mktemp("small")
    transforms = folder / "transforms"
    shutil.copytree(TRANSFORMS, transforms)
    for path in [*(transforms / "models").rglob("*.*"), *(transforms / "tests").glob("*.*")]:
        if path.stem not in LEDGER:
            path.unlink()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOOTFALL_HOME", str(folder))
        parse(folder / "dbt", transforms)
    return folder


@pytest.fixture
def settings(small: Path, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path))
    shutil.copytree(small, tmp_path, dirs_exist_ok=True)
    return Settings(footfall_home=tmp_path, database_url=database_url)


@pytest.fixture
def doctor(settings: Settings) -> Doctor:
    """Run `footfall doctor` as an operator would; return exit code and the lines on the ledger and mends."""

    def run(*arguments: str) -> tuple[int, str]:
        command = ["doctor", *arguments, "--home", str(settings.footfall_home)]
        result = CliRunner().invoke(app, command)
        told = [line for line in result.stdout.splitlines() if "] ledger:" in line or line.endswith(": mended")]
        return result.exit_code, "\n".join(told)

    return run


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    made = make_engine(database_url)
    yield made
    made.dispose()


def refresh(settings: Settings) -> tuple[bool, str, dict[str, dg.AssetCheckEvaluation]]:
    """Return whether all went well, what the run says if not, and the checks that failed."""
    job = build_defs(settings, settings.footfall_home / "transforms").resolve_job_def(REFRESH)
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    failures = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    told = [one.user_failure_data.description or "" for one in failures if one.user_failure_data]
    failed = {check.check_name: check for check in result.get_asset_check_evaluations() if not check.passed}
    return result.success, "; ".join(told), failed


def fill(database: psycopg.Connection) -> None:
    for made in (
        state_rows.user_point_logs,
        state_rows.user_credit_logs,
        state_rows.user_points,
        state_rows.user_credits,
    ):
        rows.insert(database, made.__name__, made())


def ledger_line(engine: Engine, home: Path) -> Finding:
    with engine.connect() as connection:
        return next(found for found in health(connection, load_settings(home)) if found.item == "ledger")


def test_balance_written_by_hand_is_caught_and_mended(
    settings: Settings, database: psycopg.Connection, doctor: Doctor
) -> None:
    fill(database)
    assert refresh(settings) == (True, "", {})
    published = settings.published_path.read_bytes()
    [points] = [row["points"] for row in state_rows.user_points() if row["user_id"] == 3]
    database.execute("UPDATE user_points SET points = 123456 WHERE user_id = 3")

    is_well, told, failed = refresh(settings)
    assert not is_well
    assert list(failed) == [CHECK]
    # what was found, then what it means
    for words in (told, failed[CHECK].description or ""):
        assert re.search(
            f"user_id 3, points 123456, logged_points {points}.* — Every user.s balance .*footfall doctor", words
        )
    table = failed[CHECK].metadata["first_failed_rows"]
    assert isinstance(table, dg.TableMetadataValue)
    assert [(row.data["user_id"], row.data["points"]) for row in table.records] == [("3", "123456")]
    assert settings.published_path.read_bytes() == published

    code, line = doctor()
    assert code == 1
    assert f"1 user differs: user 3 has 123456 points, the log adds up to {points}" in line
    [advised] = re.findall(r"run `footfall doctor ([^`]+)`", line)
    _, line = doctor(*shlex.split(advised))
    assert f"user 3 has 123456 points, the log adds up to {points}: mended" in line
    assert "[x] ledger" in line
    audit = database.execute("SELECT actor, action, subject, detail FROM admin_audit_log").fetchall()
    actor = f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    assert audit == [(actor, "ledger.mend", "points of user 3", {"old": 123456, "new": points})]

    assert refresh(settings) == (True, "", {})
    with duckdb.connect(str(settings.published_path), read_only=True) as connection:
        query = "SELECT points FROM marts.rpt_points_balances WHERE user_id = 3"
        assert connection.sql(query).fetchall() == [(points,)]


def test_all_ways_to_differ_are_found_and_mended(engine: Engine, tmp_path: Path, database: psycopg.Connection) -> None:
    fill(database)
    assert ledger_line(engine, tmp_path).is_well
    database.execute("DELETE FROM user_points WHERE user_id = 1")
    database.execute("DELETE FROM user_credits WHERE user_id = 2")
    database.execute("UPDATE user_credits SET credits = credits + 1 WHERE user_id > 2")
    database.execute("INSERT INTO user_points (user_id, points) VALUES (-9000000000, 5)")
    found = ledger_line(engine, tmp_path)
    assert found.found.startswith("8 users differ: user -9000000000 has 5 points, the log adds up to 0; user 1 has 0")
    assert found.found.count(";") == 5
    assert found.found.endswith("; and 3 more")
    with engine.begin() as connection:
        assert len(list(mend_balances(connection, "somebody"))) == 8
    assert ledger_line(engine, tmp_path).is_well


def test_log_that_no_balance_can_follow_is_left(engine: Engine, tmp_path: Path, database: psycopg.Connection) -> None:
    database.execute("INSERT INTO user_point_logs (user_id, action, points) VALUES (1, 'redeem', 5)")
    with engine.begin() as connection:
        assert list(mend_balances(connection, "somebody")) == []
    found = ledger_line(engine, tmp_path)
    assert found.found == "1 user differs: user 1 has 0 points, the log adds up to -5"
    assert "--mend-balances" not in found.advice
    assert "put them back" in found.advice


def test_balance_that_moves_meanwhile_is_left_alone(engine: Engine, database: psycopg.Connection) -> None:
    fill(database)
    database.execute("UPDATE user_points SET points = points + 1 WHERE user_id IN (2, 3)")
    with engine.begin() as connection:
        mending = mend_balances(connection, "somebody")
        assert next(mending).user_id == 2
        database.execute("UPDATE user_points SET points = points + 10 WHERE user_id = 3")
        database.execute("INSERT INTO user_point_logs (user_id, action, points) VALUES (3, 'earn', 10)")
        assert list(mending) == []
    with engine.begin() as connection:
        assert [found.user_id for found in mend_balances(connection, "somebody")] == [3]
