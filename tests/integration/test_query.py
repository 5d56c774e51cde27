"""`footfall query` in this process: the forms of an answer, what SQL is refused, and what it cannot reach."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars
import pytest
from typer.testing import CliRunner, Result

from footfall.cli import app
from footfall.errors import AnswerNotWritten, FootfallError, PublishedUnreadable, QueryRefused
from footfall.querying import interruptible, open_published

ODD = """
    SELECT sum(n) AS total, sum(n) AS total, 9.5::DECIMAL(4, 1) AS percent, '' AS nothing, NULL AS unknown,
        'a"b,c' AS quoted, [1.5, 'nan'::DOUBLE] AS list, chr(27) || '[31m[bold]' AS escape, max(seen_at) AS seen_at
    FROM marts.rpt_numbers
"""
READERS: dict[str, Callable[[Path], polars.DataFrame]] = {
    "parquet": polars.read_parquet,
    "csv": polars.read_csv,
    "json": polars.read_json,
}


@pytest.fixture
def published_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A published file of one table, in a home folder with nothing else."""
    monkeypatch.setenv("FOOTFALL_HOME", str(tmp_path / "home"))
    path = tmp_path / "home" / "warehouse" / "analytics.duckdb"
    path.parent.mkdir(parents=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute("""
            CREATE SCHEMA marts;
            CREATE TABLE marts.rpt_numbers AS
            SELECT range AS n, 'é' || range AS name, TIMESTAMPTZ '2026-01-02 03:04:05+01' AS seen_at FROM range(250)
        """)
    return path


def query(*arguments: object) -> Result:
    return CliRunner().invoke(app, ["query", *map(str, arguments)])


def answer(*arguments: object) -> str:
    result = query(*arguments)
    assert result.exception is None, result.exception
    return result.stdout


def refusal(*arguments: object) -> FootfallError:
    result = query(*arguments)
    assert isinstance(result.exception, FootfallError), result.output
    assert "\n" not in str(result.exception)
    return result.exception


@pytest.mark.usefixtures("published_path")
def test_table_shows_what_is_there_and_nothing_steers_the_terminal() -> None:
    table = answer(ODD)
    for shown in ("total_1", "31125", " 9.5 ", "NULL", 'a"b,c', "\\x1b[31m[bold]", "2026-01-02 02:04:05+00", "1 row\n"):
        assert shown in table


@pytest.mark.usefixtures("published_path")
def test_long_table_is_cut_and_says_so() -> None:
    table = answer("FROM marts.rpt_numbers")
    assert "é99" in table
    assert "é100" not in table
    assert table.endswith("the first 100 rows; there are more: --format csv or -o FILE give all\n")


@pytest.mark.usefixtures("published_path")
def test_csv_tells_no_value_from_an_empty_text() -> None:
    assert answer(ODD, "--format", "csv") == (
        "total,total_1,percent,nothing,unknown,quoted,list,escape,seen_at\n"
        '31125,31125,9.5,"",,"a""b,c","[1.5, nan]",\x1b[31m[bold],2026-01-02 02:04:05+00\n'
    )


@pytest.mark.usefixtures("published_path")
def test_json_is_an_array_of_rows() -> None:
    assert json.loads(answer(ODD, "--format", "json")) == [
        {
            "total": 31125,
            "total_1": 31125,
            "percent": 9.5,
            "nothing": "",
            "unknown": None,
            "quoted": 'a"b,c',
            "list": [1.5, None],
            "escape": "\x1b[31m[bold]",
            "seen_at": "2026-01-02 02:04:05+00",
        }
    ]
    assert json.loads(answer("SELECT 1 LIMIT 0", "--format", "json")) == []


@pytest.mark.usefixtures("published_path")
def test_all_rows_come_in_their_order() -> None:
    table = answer("SELECT n FROM marts.rpt_numbers, range(100) ORDER BY n DESC", "--format", "csv")
    assert table.split() == ["n", *(str(n) for n in reversed(range(250)) for _ in range(100))]


@pytest.mark.usefixtures("published_path")
@pytest.mark.parametrize("ending", READERS)
def test_file_holds_the_answer_in_the_form_of_its_name(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"it's.{ending}"
    path.write_text("what was there before")
    assert answer("SELECT sum(n) AS total, max(name) AS name FROM marts.rpt_numbers", "-o", path) == ""
    frame = READERS[ending](path)
    assert frame.rows() == [(31125, "é99")]
    assert frame.schema["total"] == polars.Int64


@pytest.mark.usefixtures("published_path")
@pytest.mark.parametrize("ending", READERS)
def test_failed_query_leaves_the_file_that_was(tmp_path: Path, ending: str) -> None:
    (folder := tmp_path / "out").mkdir()
    path = folder / f"answer.{ending}"
    path.write_text("what was there before")
    fails_late = "SELECT CASE WHEN n < 249 THEN n ELSE error('late') END AS n FROM marts.rpt_numbers"
    assert "late" in str(refusal(fails_late, "-o", path))
    assert list(folder.iterdir()) == [path]
    assert path.read_text() == "what was there before"


@pytest.mark.usefixtures("published_path")
@pytest.mark.parametrize(
    ("sql", "says"),
    [
        ("SELEC 1", "at line 1, column 1: Parser Error: syntax error"),
        ("SELECT 'é',\n  nope FROM marts.rpt_numbers", "at line 2, column 3: Binder Error"),
        ("SELECT 'é' AS x, nope", "at line 1, column 18: Binder Error"),
        ("SELECT 1; FROM marts.nope", "column 16: Catalog Error: Table with name nope does not exist"),
        ("SELECT name::INTEGER FROM marts.rpt_numbers", "Conversion Error: Could not convert"),
        (" -- nothing", "there is no statement in it"),
    ],
)
def test_faulty_sql_is_one_line_with_its_place(sql: str, says: str) -> None:
    assert says in str(refusal(sql))


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM marts.rpt_numbers",
        "COPY marts.rpt_numbers TO '{folder}/stolen.csv'",
        "ATTACH '{folder}/other.duckdb'",
        "ATTACH '{folder}/home/warehouse/warehouse.duckdb' AS warehouse (READ_ONLY)",
        "FROM read_csv('{folder}/secret.csv')",
        "FROM '{folder}/secret.csv'",
        "SET enable_external_access = true",
        "SET allowed_paths = ['{folder}/secret.csv']",
        "LOAD httpfs",
    ],
)
def test_query_reaches_nothing_but_the_published_file(published_path: Path, sql: str) -> None:
    folder = published_path.parents[2]
    (folder / "secret.csv").write_text("secret\n1\n")
    before = sorted(folder.rglob("*"))
    assert isinstance(refusal(sql.format(folder=folder)), QueryRefused)
    assert sorted(folder.rglob("*")) == before


@pytest.mark.usefixtures("published_path")
@pytest.mark.parametrize(("name", "says"), [(".", "it is no file"), ("none/a.csv", "its folder is not there")])
def test_place_that_takes_no_file_is_named(tmp_path: Path, name: str, says: str) -> None:
    error = refusal("SELECT 1", "-o", tmp_path / name)
    assert isinstance(error, AnswerNotWritten)
    assert says in str(error)


def test_file_that_is_none_of_duckdbs_is_named(published_path: Path) -> None:
    published_path.write_text("no database" * 1000)
    error = refusal("SELECT 1")
    assert isinstance(error, PublishedUnreadable)
    assert str(published_path) in str(error)


@pytest.mark.usefixtures("published_path")
@pytest.mark.parametrize("form", ["parquet", "xml"])
def test_form_that_cannot_be_is_wrong_usage(form: str) -> None:
    assert query("SELECT 1", "--format", form).exit_code == 2


@pytest.mark.timeout(60)
def test_interrupt_is_heard_while_the_query_is_only_beginning(published_path: Path) -> None:
    endless = "SELECT count(*) FROM range(1_000_000_000_000) AS r (n) WHERE hash(n) = 1"
    with open_published(published_path) as connection:

        def work() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            connection.execute(endless)

        for _ in range(20):
            with pytest.raises(KeyboardInterrupt):
                interruptible(connection, work)
