"""Imports of records from NDJSON, CSV and Parquet: a file is valid and goes in whole, or not at all."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl
import psycopg
import pytest
from sqlalchemy import Engine

from footfall.importing.errors import ColumnsWrong, FileUnreadable, RecordsInvalid
from footfall.importing.event_ids import EventIds
from footfall.importing.record_kinds import RecordKind
from footfall.importing.records import RecordFile
from ingest_app.database import make_engine
from tests.integration.importing import DOCUMENT, EVENT, ORG, a_file, a_source, rows_in, write

A_TIME = datetime(2014, 2, 1, 0, 2, 3, 456_000, tzinfo=UTC)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = make_engine(database_url)
    yield engine
    engine.dispose()


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


@pytest.mark.parametrize(
    ("meta", "message"),
    [
        ('{"a":' * 100_000 + "1" + "}" * 100_000, "line 2: it is nested too deeply"),
        ('{"a":' * 700 + "1" + "}" * 700, "line 2: it is nested too deeply"),
        ('{"a":' + "9" * 5_000 + "}", "line 2: it is no JSON object (Integer value out of range - at `$[...][...]`)"),
        ("9" * 5_000, "line 2: it is no JSON object (Integer value out of range - at `$[...]`)"),
    ],
    ids=["too deep to read", "too deep to check", "too long", "too long outside"],
)
def test_hostile_json_refuses_the_file_in_one_line(
    engine: Engine, database: psycopg.Connection, tmp_path: Path, meta: str, message: str
) -> None:
    path = tmp_path / "r.ndjson"
    hostile = json.dumps({**EVENT, "meta": "?"}).replace('"?"', meta)
    path.write_text(f"{json.dumps(EVENT)}\n{hostile}\n")
    with pytest.raises(RecordsInvalid) as caught:
        write(engine, RecordFile(path, RecordKind.events, EventIds(), datetime.now(UTC)))
    assert str(caught.value).endswith(message)
    assert rows_in(database, "tracking_events") == 0


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("user_id", "9" * 5_000, "Expected `int"),
        ("meta", '{"a":' * 20_000, "Expected `object"),
        ("meta", "9" * 5_000, "Exp"),
    ],
)
def test_hostile_cell_refuses_the_file_in_one_line(
    engine: Engine, tmp_path: Path, column: str, cell: str, message: str
) -> None:
    path = tmp_path / "r.csv"
    pl.DataFrame([{**EVENT, "meta": None, column: cell}]).write_csv(path)
    with pytest.raises(RecordsInvalid, match=f"line 2: {message}") as caught:
        write(engine, RecordFile(path, RecordKind.events, EventIds(), datetime.now(UTC)))
    assert "\n" not in str(caught.value)


def test_name_of_a_file_is_no_pattern(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    a_file(tmp_path / "opens1.parquet", [DOCUMENT] * 5)
    assert write(engine, a_source(tmp_path / "opens[1].parquet", [{**DOCUMENT, "user_id": 1}])).new_count == 1
    assert database.execute("SELECT user_id FROM tracking_documents").fetchall() == [(1,)]


@pytest.mark.parametrize("unit", ["ms", "us", "ns"])
def test_times_of_parquet_are_taken_in_their_zone(
    engine: Engine, database: psycopg.Connection, tmp_path: Path, unit: Literal["ms", "us", "ns"]
) -> None:
    path = tmp_path / "r.parquet"
    moment = pl.lit(A_TIME).dt.cast_time_unit(unit).dt.convert_time_zone("Europe/Berlin")
    pl.DataFrame([DOCUMENT]).with_columns(created_at=moment).write_parquet(path)
    write(engine, RecordFile(path, RecordKind.documents, EventIds(), datetime.now(UTC)))
    found = database.execute("SELECT created_at FROM tracking_documents").fetchall()
    assert found == [(A_TIME,)]


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
        write(engine, RecordFile(path, RecordKind.users, EventIds(), datetime.now(UTC)))
    assert "\n" not in str(caught.value)
    assert rows_in(database, "users") == 0


def test_csv_of_a_spreadsheet_is_read(engine: Engine, database: psycopg.Connection, tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_bytes('\ufeffid,user_type,name\r\n1,admin,"two\r\nlines"\r\n\r\n'.encode())
    write(engine, RecordFile(path, RecordKind.users, EventIds(), datetime.now(UTC)))
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


@pytest.mark.parametrize("kind", RecordKind)
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
