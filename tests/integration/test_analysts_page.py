"""The page for analysts is true: its snippets run against a published file with a row in every mart of the models."""

import os
import re
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import duckdb
import pytest
import yaml

from warehouse.builds import begin_build, finish_build
from warehouse.connection import open_warehouse
from warehouse.publish import publish

ROOT = Path(__file__).parents[2]
SNIPPETS = re.findall(r"^```(\w+)\n(.*?)^```$", (ROOT / "docs" / "analysts.md").read_text(), re.MULTILINE | re.DOTALL)
VALUES = {"DATE": "DATE '2026-01-01'", "TIMESTAMPTZ": "now()", "VARCHAR": "'2026-01'", "UUID": "uuid()"}


def snippets(language: str) -> list[str]:
    found = [body for name, body in SNIPPETS if name == language]
    assert found
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working folder with a home folder: marts with the columns that the models promise, and a sealed event."""
    folder = tmp_path_factory.mktemp("analyst")
    path = folder / ".footfall" / "warehouse" / "warehouse.duckdb"
    pages = (ROOT / "transforms" / "models" / "marts").glob("*.yml")
    tables = {
        f"{model.get('config', {}).get('schema', 'marts')}.{model['name']}": model["columns"]
        for page in pages
        for model in yaml.safe_load(page.read_text())["models"]
    }
    begin_build(path, "a build", models=list(tables))
    with open_warehouse(path) as warehouse:
        warehouse.execute("CREATE SCHEMA marts")
        for name, columns in tables.items():
            items = ", ".join(
                f"{VALUES.get(column['data_type'], 1)}::{column['data_type']} AS {column['name']}" for column in columns
            )
            warehouse.execute(f"CREATE TABLE {name} AS SELECT {items}")
        sealed = folder / ".footfall" / "archive" / "tracking_events" / "received_date=2026-01-01" / "part-0.parquet"
        sealed.parent.mkdir(parents=True)
        warehouse.execute("INSERT INTO raw.tracking_events (event_id, is_bot) VALUES (uuid(), false)")
        warehouse.execute(
            f"COPY (SELECT * REPLACE (event_id::BLOB AS event_id) FROM raw.tracking_events) TO '{sealed}'"
        )
    finish_build(path, "a build")
    publish(path, path.with_name("analytics.duckdb"))
    return folder


@pytest.mark.parametrize("number", range(len(snippets("python"))))
def test_python_snippet_runs(folder: Path, number: int) -> None:
    snippet = snippets("python")[number]
    for call, package in ((".pl()", "polars"), (".df()", "pandas")):
        if call in snippet and not find_spec(package):
            pytest.skip(f"{package} is not installed")
    _run(folder, sys.executable, "-c", snippet)


@pytest.mark.parametrize("number", range(len(snippets("sql"))))
def test_sql_snippet_runs(folder: Path, number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    snippet = snippets("sql")[number]
    attaches = "ATTACH" in snippet
    path = tmp_path / "mine.duckdb" if attaches else Path(".footfall/warehouse/analytics.duckdb")
    with duckdb.connect(str(path), read_only=not attaches) as connection:
        connection.execute(snippet)


@pytest.mark.parametrize("line", "".join(snippets("console")).splitlines(), ids=lambda line: line.split()[0])
def test_command_of_the_page_runs(folder: Path, line: str) -> None:
    beside = f"{Path(sys.executable).parent}"
    program = shutil.which(line.split()[0], path=beside) or shutil.which(line.split()[0])
    if program is None:
        pytest.skip(f"{line.split()[0]} is not installed")
    answer = _run(folder, "sh", "-c", line.replace(line.split()[0], program, 1))
    assert "│" in answer or "-o " in line


@pytest.mark.parametrize("number", range(len(snippets("r"))))
def test_r_snippet_runs(folder: Path, number: int) -> None:
    if shutil.which("Rscript") is None:
        pytest.skip("R is not installed")
    if subprocess.run(["Rscript", "-e", "library(DBI); library(duckdb)"], capture_output=True, check=False).returncode:
        pytest.skip("R lacks its package duckdb")
    _run(folder, "Rscript", "-e", snippets("r")[number])


def _run(folder: Path, *command: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("FOOTFALL_")}
    answer = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout
