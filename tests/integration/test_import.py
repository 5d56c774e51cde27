"""Imports of web logs, and the command line: whole files or nothing, and nothing twice."""

import gzip
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection, Engine

from footfall import cli
from footfall.importing.errors import DatabaseRefused, FileUnreadable, NotAWebLog
from footfall.importing.source import Batch
from footfall.importing.weblog import WebLog
from ingest_app.database import make_engine
from tests.integration.importing import DOCUMENT, a_file, a_log, log_lines, rows_in, write


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


def test_web_log_becomes_visits_and_visitors(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    imported = write(engine, a_log(tmp_path, log_lines(4_100)))
    assert (imported.read_count, imported.new_count, imported.known_count, imported.bot_count) == (
        4_100,
        4_100,
        0,
        1_025,
    )
    found = database.execute("SELECT count(*), count(*) FILTER (WHERE is_bot), min(created_at) FROM tracking_events")
    assert found.fetchone() == (4_100, 1_025, datetime(2016, 2, 20, tzinfo=UTC))
    spans = database.execute("SELECT min(first_seen_at), max(last_seen_at), count(*) FROM visitor_sessions").fetchone()
    assert spans == (datetime(2016, 2, 20, 0, 0, 1, tzinfo=UTC), datetime(2016, 2, 20, 1, 8, 19, tzinfo=UTC), 3)


def test_importing_a_log_again_writes_nothing(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    log = a_log(tmp_path, log_lines(50) + log_lines(50))
    write(engine, log)
    versions = "SELECT session_id, xmin::text FROM visitor_sessions ORDER BY 1"
    before = database.execute(versions).fetchall()
    assert write(engine, log).known_count == 100
    assert rows_in(database, "tracking_events") == 100
    assert database.execute(versions).fetchall() == before


def test_log_that_grew_adds_its_new_lines(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    write(engine, a_log(tmp_path, log_lines(60)))
    imported = write(engine, a_log(tmp_path, gzip.compress(log_lines(60, first=20).encode())))
    assert (imported.new_count, imported.known_count) == (20, 40)
    assert rows_in(database, "tracking_events") == 80


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (log_lines(2_100) + "nonsense\n" * 40_000, NotAWebLog),
        (gzip.compress(log_lines(9_000).encode(), mtime=0)[:-100], FileUnreadable),
    ],
    ids=["mostly nonsense", "gzip cut short"],
)
def test_wrong_log_leaves_nothing_behind(
    engine: Engine, database: psycopg.Connection, tmp_path: Path, content: str | bytes, error: type[Exception]
) -> None:
    with pytest.raises(error):
        write(engine, a_log(tmp_path, content))
    assert rows_in(database, "tracking_events") + rows_in(database, "visitor_sessions") == 0


def test_missing_partition_is_told_and_leaves_nothing(
    engine: Engine, database: psycopg.Connection, tmp_path: Path
) -> None:
    partitions = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'tracking_events'::regclass"
    for (name,) in database.execute(partitions).fetchall():
        database.execute(f"DROP TABLE {name}")
    with pytest.raises(DatabaseRefused, match="run `footfall migrate`"):
        write(engine, a_log(tmp_path, log_lines(10)))
    assert rows_in(database, "event_ids") + rows_in(database, "visitor_sessions") == 0


@dataclass(frozen=True)
class CutOff(WebLog):
    """A log whose import loses its connection after the first batch."""

    other: psycopg.Connection

    def write(self, connection: Connection, batch: Batch) -> int:
        written = super().write(connection, batch)
        (pid,) = connection.exec_driver_sql("SELECT pg_backend_pid()").one()
        self.other.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        return written


def test_lost_connection_leaves_nothing_behind(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    log = a_log(tmp_path, log_lines(4_100))
    with pytest.raises(DatabaseRefused) as caught:
        write(engine, CutOff(log.path, log.app_name, log.secret, database))
    assert "\n" not in str(caught.value)
    assert rows_in(database, "tracking_events") + rows_in(database, "event_ids") == 0
    assert write(engine, log).new_count == 4_100


class Footfall:
    """The command line, in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def run(self, *arguments: str) -> tuple[object, str, str]:
        """Return exit code, stdout and stderr."""
        self._monkeypatch.setattr("sys.argv", ["footfall", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        captured = self._capsys.readouterr()
        return ended.value.code or 0, captured.out, captured.err


@pytest.fixture
def footfall(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Footfall:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    return Footfall(monkeypatch, capsys)


def cells(table: str) -> list[str]:
    """The counts of a printed table's first row."""
    return [cell.strip() for cell in table.splitlines()[3].split("│")[2:-1]]


def test_weblog_command_prints_what_became_of_it(footfall: Footfall, tmp_path: Path) -> None:
    log = a_log(tmp_path, log_lines(1_200) + "198.51.100.9 nonsense\n")
    code, out, err = footfall.run("import", "weblog", str(log.path), "--app", "site")
    assert code == 0
    assert cells(out) == ["1,201", "1,200", "0", "300", "1"]
    assert f"left out of {log.path}, line 1201: " in err
    assert "198.51.100.9" not in out + err


def test_records_command_prints_what_became_of_it(footfall: Footfall, tmp_path: Path) -> None:
    path = a_file(tmp_path / "r.csv", [DOCUMENT] * 2)
    for counts in (["2", "2", "0"], ["2", "0", "2"]):
        code, out, err = footfall.run("import", "records", str(path), "--kind", "documents")
        assert (code, err) == (0, "")
        assert cells(out) == counts


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("weblog", "missing.log", "--app", "site"), 1, "cannot read missing.log: No such file"),
        (("weblog", ".", "--app", "site"), 1, "cannot read .: Is a directory"),
        (("weblog", __file__, "--app", "site"), 1, "is no web log"),
        (("weblog", __file__, "--app", ""), 2, "1 to 50 characters"),
        (("weblog", __file__, "--app", "x" * 51), 2, "1 to 50 characters"),
        (("weblog", __file__), 2, "--app"),
        (("records", __file__, "--kind", "documents"), 1, "the name must end in .ndjson"),
        (("records", "missing.csv", "--kind", "documents"), 1, "cannot read missing.csv"),
        (("records", "missing.csv", "--kind", "heartbeat"), 2, "--kind"),
    ],
)
def test_wrong_input_is_one_line_and_an_exit_code(
    footfall: Footfall, arguments: Sequence[str], code: int, message: str
) -> None:
    ended, out, err = footfall.run("import", *arguments)
    assert (ended, out) == (code, "")
    assert message in err
    assert code == 2 or err.count("\n") == 1


def test_all_files_are_looked_at_before_any_is_written(
    footfall: Footfall, database: psycopg.Connection, tmp_path: Path
) -> None:
    good = a_file(tmp_path / "1.csv", [DOCUMENT])
    bad = a_file(tmp_path / "2.csv", [{"level_name": "L1"}])
    code, _, err = footfall.run("import", "records", str(good), str(bad), "--kind", "documents")
    assert (code, "column missing: user_type, chapter_name, document_name" in err) == (1, True)
    assert rows_in(database, "tracking_documents") == 0


def test_database_without_schema_is_told(
    footfall: Footfall, empty_database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    path = a_file(tmp_path / "r.csv", [DOCUMENT])
    code, _, err = footfall.run("import", "records", str(path), "--kind", "documents")
    assert (code, "run `footfall migrate`" in err) == (1, True)
