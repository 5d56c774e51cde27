"""Both ends of the range of DuckDB that pyproject.toml allows: what one publishes the other reads.

`make test` runs this file and the tests of the DuckDB side once more with the older one, which `make install` puts into
`.venv/oldest`.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import duckdb
import pytest

ROOT = Path(__file__).parents[2]
OLDEST = Path(sys.prefix) / "oldest"

PUBLISH = """
import sys
from pathlib import Path
from warehouse.builds import begin_build, finish_build
from warehouse.connection import open_warehouse
from warehouse.publish import publish
path = Path(sys.argv[1])
begin_build(path, "a build")
with open_warehouse(path) as warehouse:
    warehouse.execute('''
        CREATE SCHEMA marts;
        CREATE TABLE marts.rpt_days (day DATE NOT NULL, share DECIMAL(4, 1), name VARCHAR, seen TIMESTAMPTZ);
        INSERT INTO marts.rpt_days SELECT DATE '2026-01-01' + range::INTEGER, 99.5, 'é' || range, '2026-01-02 03:04:05Z'
        FROM range(200_000);
        COMMENT ON TABLE marts.rpt_days IS 'days';
        COMMENT ON COLUMN marts.rpt_days.share IS 'a share'
    ''')
finish_build(path, "a build")
publish(path, Path(sys.argv[2]))
"""

READ = """
import json, sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as published:
    ask = lambda query: published.execute(query).fetchall()
    print(json.dumps({
        "duckdb": duckdb.__version__,
        "rows": ask("SELECT count(*), sum(share)::VARCHAR, max(name), count(DISTINCT day), max(epoch(seen)) "
            "FROM marts.rpt_days"),
        "build": ask("SELECT build_id, row_count FROM meta.refresh"),
        "table": ask("SELECT comment FROM duckdb_tables() WHERE table_name = 'rpt_days'"),
        "columns": ask("SELECT column_name, data_type, is_nullable, comment FROM duckdb_columns() "
            "WHERE table_name = 'rpt_days' ORDER BY column_index"),
    }))
"""


def oldest_allowed() -> str:
    dependencies = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    [lower] = [found[1] for name in dependencies if (found := re.match(r"duckdb>=([\d.]+)", name))]
    return lower


def locked(file_name: str) -> str:
    [version] = re.findall(r"^duckdb==(\S+)", (ROOT / file_name).read_text(), re.MULTILINE)
    return str(version)


def run(is_oldest: bool, script: str, *arguments: object) -> str:
    if is_oldest and not OLDEST.is_dir():
        pytest.skip(f"the oldest DuckDB is not in {OLDEST}: `make install` puts it there")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if is_oldest:
        environment["PYTHONPATH"] = str(OLDEST)
    answer = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stderr) == (0, "")
    return answer.stdout


def test_locked_versions_are_the_ends_of_the_range() -> None:
    assert locked("requirements-oldest.txt") == oldest_allowed()
    assert locked("requirements.txt") == locked("requirements-dev.txt")


def test_tests_run_on_the_version_they_claim() -> None:
    is_oldest = str(OLDEST) in os.environ.get("PYTHONPATH", "").split(os.pathsep)
    assert duckdb.__version__ == (oldest_allowed() if is_oldest else locked("requirements.txt"))


@pytest.mark.parametrize(("made_by_oldest", "read_by_oldest"), [(False, True), (True, False)])
def test_published_file_is_read_by_the_other_version(
    tmp_path: Path, made_by_oldest: bool, read_by_oldest: bool
) -> None:
    published_path = tmp_path / "analytics.duckdb"
    run(made_by_oldest, PUBLISH, tmp_path / "warehouse.duckdb", published_path)
    found: dict[str, Any] = json.loads(run(read_by_oldest, READ, published_path))
    assert found == {
        "duckdb": oldest_allowed() if read_by_oldest else locked("requirements.txt"),
        "rows": [[200_000, "19900000.0", "é99999", 200_000, 1767323045.0]],
        "build": [["a build", 200_000]],
        "table": [["days"]],
        "columns": [
            ["day", "DATE", False, None],
            ["share", "DECIMAL(4,1)", True, "a share"],
            ["name", "VARCHAR", True, None],
            ["seen", "TIMESTAMP WITH TIME ZONE", True, None],
        ],
    }
