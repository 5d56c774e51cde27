"""Imports into a real Postgres: whole files or nothing, and nothing twice."""

import gzip
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
import pytest
from sqlalchemy import Connection, Engine

from footfall import cli
from footfall.importing.errors import ColumnsWrong, DatabaseRefused, FileUnreadable, NotAWebLog, RecordsInvalid
from footfall.importing.event_ids import EventIds
from footfall.importing.records import KIND_NAMES, RecordFile
from footfall.importing.source import Batch, Source
from footfall.importing.weblog import WebLog
from footfall.importing.writing import Imported, write_file
from ingest_app.database import make_engine

Rows = Sequence[dict[str, Any]]

ORG = "11111111-1111-4111-8111-111111111111"
DOCUMENT = {
    "user_type": "student",
    "level_name": "L1",
    "chapter_name": "C1",
    "document_name": "D1",
    "user_id": 7,
    "created_at": "2014-02-01T00:00:00Z",
}
EVENT = {
    "user_type": "guest",
    "app_name": "site",
    "event_type": "button",
    "event_name": "save, and close",
    "meta": {"step": 2},
    "created_at": "2014-02-01T02:00:00+02:00",
}


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


def log_lines(count: int, first: int = 0) -> str:
    """A visit a second, each fourth of a bot."""
    return "".join(
        f"203.0.113.{n % 3} - - [20/Feb/2016:{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02} +0000] "
        f'"GET /page/{n % 10}?n={n} HTTP/1.1" 200 5 "-" "{"Googlebot/2.1" if n % 4 == 0 else "Firefox/99.0"}"\n'
        for n in range(first, first + count)
    )


def a_log(folder: Path, content: str | bytes) -> WebLog:
    path = folder / "access.log"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return WebLog(path, "site", "secret")


def a_file(path: Path, rows: Rows) -> Path:
    """Write rows in the format that the name of `path` tells; all rows have the columns of the first."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        times = pl.col("created_at").str.to_datetime(time_zone="UTC", time_unit="us")
        frame = pl.DataFrame(list(rows), infer_schema_length=None)
        frame.with_columns(times).write_parquet(path)
        return path
    if name.endswith(".csv"):
        cells = [{k: json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()} for row in rows]
        content = pl.DataFrame(cells, infer_schema_length=None).write_csv()
    else:
        content = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


def a_source(path: Path, rows: Rows, kind: str = "documents", ids: EventIds | None = None) -> RecordFile:
    return RecordFile(a_file(path, rows), kind, ids or EventIds(), datetime.now(UTC))


def write(engine: Engine, source: Source) -> Imported:
    source.check()
    return write_file(engine, source, lambda share: None)


def rows_in(database: psycopg.Connection, table: str) -> int:
    (count,) = database.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
    return int(count)


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
        (gzip.compress(log_lines(9_000).encode())[:-100], FileUnreadable),
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


@pytest.mark.parametrize("name", ["r.ndjson", "r.jsonl.gz", "r.json", "r.csv", "r.CSV.gz", "r.parquet"])
def test_every_format_gives_the_same_event(
    engine: Engine, database: psycopg.Connection, tmp_path: Path, name: str
) -> None:
    assert write(engine, a_source(tmp_path / "first.ndjson", [EVENT], "events")).new_count == 1
    assert write(engine, a_source(tmp_path / name.replace("CSV", "csv"), [EVENT], "events")).known_count == 1
    columns = "user_type, app_name, event_type, event_name, meta, created_at, user_id, is_bot, created_at_adjusted"
    assert database.execute(f"SELECT {columns} FROM tracking_events").fetchall() == [
        (
            "guest",
            "site",
            "button",
            "save, and close",
            {"step": 2},
            datetime(2014, 2, 1, tzinfo=UTC),
            None,
            False,
            False,
        )
    ]


def test_equal_records_count_as_often_as_stated(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    for expected in (5, 0):
        ids = EventIds()
        parts = [(tmp_path / "1.csv", [DOCUMENT] * 3), (tmp_path / "2.csv", [DOCUMENT] * 2)]
        assert sum(write(engine, a_source(path, rows, ids=ids)).new_count for path, rows in parts) == expected
    assert rows_in(database, "tracking_documents") == 5


def test_stated_event_id_counts_once(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    imported = write(engine, a_source(tmp_path / "r.csv", [{**DOCUMENT, "event_id": ORG}] * 2))
    assert (imported.new_count, imported.known_count) == (1, 1)
    assert database.execute("SELECT event_id::text FROM tracking_documents").fetchall() == [(ORG,)]


def test_sent_at_does_not_move_history(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    write(engine, a_source(tmp_path / "r.ndjson", [{**DOCUMENT, "sent_at": "2014-02-01T00:00:09Z"}]))
    assert database.execute("SELECT created_at FROM tracking_documents").fetchall() == [
        (datetime(2014, 2, 1, tzinfo=UTC),)
    ]


def test_empty_cell_is_an_absent_value(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    rows = [{**DOCUMENT, "country_code": "DE"}, {**DOCUMENT, "country_code": None, "user_id": None}]
    write(engine, a_source(tmp_path / "r.csv", rows))
    found = database.execute("SELECT country_code, user_id, app_name FROM tracking_documents ORDER BY 1").fetchall()
    assert found == [("DE", 7, "DViz"), (None, None, "DViz")]


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("r.csv", {"user_type": "pupil"}, "line 2102: .*pupil.*user_type"),
        ("r.ndjson", {"user_id": "7"}, r"line 2101: Expected `int \| null`, got `str` - at `\$.user_id`"),
        ("r.ndjson", {"usr_id": 7}, "line 2101: it has the unknown field usr_id"),
        ("r.parquet", {"document_name": ""}, r"row 2101: .*document_name"),
        ("r.csv", {"created_at": "2014-02-01 00:00:00"}, "line 2102: Expected `datetime` with a timezone"),
        ("r.csv", {"created_at": "20140201"}, "line 2102: Invalid RFC3339 encoded datetime"),
        ("r.csv", {"user_id": "7.5"}, "line 2102: Expected `int"),
    ],
)
def test_wrong_record_refuses_the_whole_file(
    engine: Engine, database: psycopg.Connection, tmp_path: Path, name: str, wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(RecordsInvalid, match=message):
        write(engine, a_source(tmp_path / name, [DOCUMENT] * 2_100 + [{**DOCUMENT, **wrong}]))
    assert rows_in(database, "tracking_documents") == 0


def test_only_the_first_wrong_records_are_shown(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(RecordsInvalid) as caught:
        write(engine, a_source(tmp_path / "r.csv", [{**DOCUMENT, "user_type": "pupil"}] * 50))
    assert str(caught.value).count("line ") == 3
    assert str(caught.value).endswith("; …")


@pytest.mark.parametrize("name", ["r.csv", "r.parquet"])
def test_wrong_columns_are_named_all_at_once(engine: Engine, tmp_path: Path, name: str) -> None:
    row = {"usr_type": "student", "chapter_name": "C1", "document_name": "D1", "created_at": "2014-02-01T00:00:00Z"}
    with pytest.raises(ColumnsWrong, match="missing: user_type, level_name; column unknown: usr_type"):
        write(engine, a_source(tmp_path / name, [row]))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("r.csv", b"id,user_type\n1,admin,x\n", "line 2: it has 3 cells, the header 2"),
        ("r.csv", b'id,user_type\n1,"admin\n', "line 2 is no CSV"),
        ("r.csv", b"id,user_type\n1,adm\xffin\n", "not UTF-8 text"),
        ("r.csv", b"id,user_type,id\n1,admin,1\n", "column twice: id"),
        ("r.csv", b"", "column missing: id, user_type"),
        ("r.csv", b"PK\x03\x04", "column missing"),
        ("r.ndjson", b"[1]\n", "line 1: it is no JSON object"),
        ("r.ndjson", b'{"id": 1, "user_type": "admin"', "line 1: it is no JSON object"),
        ("r.ndjson", b'{"id": 1}\n', "line 1: .*missing required field `user_type`"),
        ("r.parquet", b"PAR1 but not really", "no Parquet file"),
    ],
)
def test_damaged_file_is_refused_in_one_line(
    engine: Engine, database: psycopg.Connection, tmp_path: Path, name: str, content: bytes, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises((ColumnsWrong, FileUnreadable, RecordsInvalid), match=message) as caught:
        write(engine, RecordFile(path, "users", EventIds(), datetime.now(UTC)))
    assert "\n" not in str(caught.value)
    assert rows_in(database, "users") == 0


def test_csv_of_a_spreadsheet_is_read(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes('\ufeffid,user_type,name\r\n1,admin,"two\r\nlines"\r\n\r\n'.encode())
    write(engine, RecordFile(path, "users", EventIds(), datetime.now(UTC)))
    assert database.execute("SELECT id, name FROM users").fetchall() == [(1, "two\r\nlines")]


def test_state_that_is_as_before_is_not_written_again(
    engine: Engine, database: psycopg.Connection, tmp_path: Path
) -> None:
    first = {"id": ORG, "name": "Acme", "slug": "acme"}
    write(engine, a_source(tmp_path / "r.ndjson", [first], "organizations"))
    before = database.execute("SELECT updated_at, xid::text FROM organizations").fetchall()
    assert write(engine, a_source(tmp_path / "r.ndjson", [first], "organizations")).known_count == 1
    assert database.execute("SELECT updated_at, xid::text FROM organizations").fetchall() == before
    renamed = {"id": ORG, "name": "Acme Ltd"}
    assert write(engine, a_source(tmp_path / "r.ndjson", [renamed], "organizations")).new_count == 1
    assert database.execute("SELECT name, slug FROM organizations").fetchall() == [("Acme Ltd", "acme")]


@pytest.mark.parametrize("kind", KIND_NAMES)
def test_every_kind_can_be_imported(engine: Engine, tmp_path: Path, kind: str) -> None:
    row: dict[str, dict[str, Any]] = {
        "activity": {"event_type": "login", "user_id": ORG},
        "events": EVENT,
        "documents": DOCUMENT,
        "accounts": {"id": ORG, "username": "ann"},
        "organizations": {"id": ORG, "name": "Acme"},
        "subscriptions": {"id": ORG, "status": "active", "ends_at": "2030-01-01T00:00:00Z", "plan": "pro"},
        "users": {"id": 1, "user_type": "student"},
    }
    assert [write(engine, a_source(tmp_path / "r.ndjson", [row[kind]], kind)).new_count for _ in "12"] == [1, 0]


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
