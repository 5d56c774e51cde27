"""Open transactions that keep rows from a load are named with their age; readers and other tables' writers are not."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from footfall.commands.refresh import print_moved
from footfall.doctor import _open_transactions
from ingest_app.database import make_engine
from pipelines.assets.load import _loaded, held_back_longer
from pipelines.refresh import RefreshSummary
from warehouse.held_back import OpenTransaction, held_back
from warehouse.load import TableLoad, load

AN_EVENT = """
    INSERT INTO tracking_events (user_type, app_name, event_type, event_name)
    VALUES ('student', 'DViz', 'visit', 'open')
"""


@pytest.fixture
def writer(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, application_name="a writer") as connection:
        yield connection


def waiting(loads: list[TableLoad]) -> dict[str, list[OpenTransaction]]:
    return {table.table_name: list(table.held_back) for table in loads if table.held_back}


def test_open_writer_is_named_with_its_age(writer: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    writer.execute(AN_EVENT)
    writer.execute("SELECT pg_sleep(0.05)")
    [(name, [found])] = waiting(load(database_url, tmp_path / "warehouse.duckdb")).items()
    assert (name, found.pid, found.name) == ("tracking_events", writer.info.backend_pid, "a writer")
    assert found.age_seconds is not None
    assert 0.05 <= found.age_seconds < 60
    assert str(found) == f"pid {writer.info.backend_pid} (a writer), open for {found.age_seconds:.0f} s"


def test_committed_writer_holds_nothing_back(writer: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    writer.execute(AN_EVENT)
    writer.commit()
    assert waiting(load(database_url, tmp_path / "warehouse.duckdb")) == {}


@pytest.mark.parametrize(
    "statement",
    ["SELECT count(*) FROM users", "CREATE TABLE other (id bigint)", "SELECT pg_current_xact_id()"],
    ids=["a reader", "another table's writer", "one that has written nothing"],
)
def test_others_open_transactions_are_not_blamed(
    writer: psycopg.Connection, database_url: str, tmp_path: Path, statement: str
) -> None:
    writer.execute(statement)
    assert waiting(load(database_url, tmp_path / "warehouse.duckdb")) == {}


def test_writer_of_a_partition_counts_for_its_table(
    writer: psycopg.Connection, database_url: str, tmp_path: Path
) -> None:
    writer.execute("""
        DO $$ BEGIN
            EXECUTE format(
                'INSERT INTO %I (id, user_type, app_name, event_type, event_name)
                 VALUES (1, ''student'', ''DViz'', ''visit'', ''open'')',
                'tracking_events_p' || to_char(now() AT TIME ZONE 'UTC', 'YYYYMMDD'));
        END $$
    """)
    assert list(waiting(load(database_url, tmp_path / "warehouse.duckdb"))) == ["tracking_events"]


def test_writer_of_another_role_has_no_age(
    database: psycopg.Connection, writer: psycopg.Connection, database_url: str
) -> None:
    writer.execute(AN_EVENT)
    with psycopg.connect(database_url) as unprivileged:
        unprivileged.execute("CREATE ROLE nobody_in_particular")
        unprivileged.execute("SET ROLE nobody_in_particular")
        found = held_back(lambda query: unprivileged.execute(query.encode()))
        unprivileged.rollback()
    [it] = found["tracking_events"]
    assert (it.pid, it.name, it.age_seconds) == (writer.info.backend_pid, "a writer", None)
    assert str(it).endswith("open for an unknown time")


def test_dagster_shows_who_holds_rows_back() -> None:
    old, new = OpenTransaction(7, "psql", 61.0), OpenTransaction(None, "gid", 2.0)
    result = _loaded(TableLoad("users", 0, 0, 1, 0.1, held_back=(old, new)))
    metadata = {key: dg.MetadataValue.text(str(value)) for key, value in (result.metadata or {}).items()}
    told = "pid 7 (psql), open for 61 s; prepared transaction 'gid', open for 2 s"
    assert (metadata["held_back_by"].value, metadata["held_back_seconds"].value) == (told, "61.0")
    assert held_back_longer(60, metadata) == told
    assert held_back_longer(61, metadata) is None
    assert held_back_longer(0, {}) is None


def test_doctor_names_writer_that_does_not_end(
    writer: psycopg.Connection, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer.execute(AN_EVENT)
    engine = make_engine(database_url)
    with engine.connect() as connection:
        assert _open_transactions(connection).is_well
        monkeypatch.setattr("footfall.doctor.LATE_COMMIT_SECONDS", 0.0)
        found = _open_transactions(connection)
    engine.dispose()
    assert not found.is_well
    assert found.found.startswith(f"rows of tracking_events wait for pid {writer.info.backend_pid} (a writer), open")
    assert "pg_terminate_backend" in found.advice


def test_refresh_warns_of_rows_that_wait(capsys: pytest.CaptureFixture[str]) -> None:
    print_moved(RefreshSummary({"users": 0}, {"users": "pid 7 (psql), open for 61 s"}, {}, {}, "a run", 1.0))
    assert "warning: rows of users wait until a transaction commits: pid 7 (psql), open for 61 s" in (
        " ".join(capsys.readouterr().out.split())
    )
