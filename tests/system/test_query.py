"""`footfall query` as a program among others: pipes, Ctrl-C, a full disk. The file is a plain DuckDB file here."""

import signal
import subprocess
from pathlib import Path

import duckdb
import pytest

from tests.system.conftest import PROGRAM, Footfall


@pytest.fixture
def published(footfall: Footfall) -> Footfall:
    """A home folder with a published file and nothing else."""
    path = footfall.home / "warehouse" / "analytics.duckdb"
    path.parent.mkdir(parents=True)
    with duckdb.connect(str(path)) as connection:
        connection.execute("CREATE TABLE numbers AS SELECT range AS n FROM range(3)")
    path.chmod(0o444)
    return footfall


def test_sql_is_read_from_standard_input(published: Footfall) -> None:
    sql = (
        "SET TimeZone = 'Europe/Berlin'; SELECT sum(n) AS total, TIMESTAMPTZ '2026-01-02 02:00:00Z' AS at FROM numbers;"
    )
    command = [PROGRAM, "query", "-", "--format", "csv"]
    answer = subprocess.run(command, env=published.env, input=sql, capture_output=True, text=True, check=True)
    assert answer.stdout == "total,at\n3,2026-01-02 03:00:00+01\n"


def test_faulty_query_is_one_line(published: Footfall) -> None:
    answer = published.run("query", "SELECT\nnope FROM numbers")
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (1, "", 1)
    assert answer.stderr.startswith("footfall: the query failed at line 2, column 1: Binder Error: ")


def test_without_published_file_the_command_is_named(footfall: Footfall) -> None:
    answer = footfall.run("query", "SELECT 1")
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)
    assert "run `footfall refresh`" in answer.stderr
    assert not footfall.home.exists()


def test_reader_who_has_enough_is_no_fault(published: Footfall) -> None:
    command = f"{PROGRAM} query 'SELECT uuid() FROM range(1_000_000)' --format csv | head -n 2"
    answer = subprocess.run(["sh", "-c", command], env=published.env, capture_output=True, text=True, check=False)
    assert (answer.stderr, answer.stdout.count("\n")) == ("", 2)


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_full_disk_leaves_the_file_that_was(published: Footfall, tmp_path: Path, ending: str) -> None:
    (folder := tmp_path / "out").mkdir()
    path = folder / f"answer.{ending}"
    path.write_text("what was there before")
    limited = f"ulimit -f 16; exec {PROGRAM} query 'SELECT uuid() FROM range(100000)' -o {path}"
    answer = subprocess.run(["sh", "-c", limited], env=published.env, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr.count("\n")) == (1, 1)
    assert answer.stderr.startswith("footfall: ")
    assert "File too large" in answer.stderr
    assert list(folder.iterdir()) == [path]
    assert path.read_text() == "what was there before"


def test_interrupt_ends_the_query_at_once(published: Footfall, tmp_path: Path) -> None:
    (folder := tmp_path / "out").mkdir()
    endless = "SELECT count(*) FROM range(1_000_000_000_000) AS r (n) WHERE hash(n) = 1"
    process = subprocess.Popen(
        [PROGRAM, "query", endless, "-o", str(folder / "answer.csv")],
        env={**published.env, "TMPDIR": str(folder)},
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        # the file is made where the first row is asked for
        while not list(folder.glob(".answer.csv.*")):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, complaint = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in complaint
    assert list(folder.iterdir()) == []
