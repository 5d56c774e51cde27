"""Analysts at the published file while it is replaced under them, in processes of their own; also the careless ones."""

import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.integration.spools import run_python
from warehouse.builds import begin_build, finish_build
from warehouse.connection import open_warehouse
from warehouse.publish import publish

REFRESHES = 100

# in every refresh all marts carry its number
PUBLISH = """
import sys
from pathlib import Path
from warehouse.builds import begin_build, finish_build
from warehouse.connection import open_warehouse, transaction
from warehouse.publish import publish
warehouse_path, published_path, refreshes = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
begin_build(warehouse_path, "0")
finish_build(warehouse_path, "0")
# to open the file takes longest, and is not what is tried here: kept open, it is opened once
with open_warehouse(warehouse_path) as warehouse:
    warehouse.execute("CREATE SCHEMA marts")
    for number in range(1, refreshes + 1):
        with transaction(warehouse):
            for mart in ("rpt_one", "rpt_other"):
                rows = f"SELECT {number} AS n FROM range({number} * 10)"
                warehouse.execute(f"CREATE OR REPLACE TABLE marts.{mart} AS {rows}")
            warehouse.execute("UPDATE meta.builds SET build_id = ?", [str(number)])
        publish(warehouse_path, published_path)
        print(number, flush=True)
"""

READ = """
import json, sys, duckdb
path, last = sys.argv[1], int(sys.argv[2])

def numbers(connection):
    query = "SELECT list(DISTINCT n), count(*) // 10 FROM marts.{}"
    [first], first_count = connection.execute(query.format("rpt_one")).fetchone()
    [second], second_count = connection.execute(query.format("rpt_other")).fetchone()
    [third] = connection.execute("SELECT build_id FROM meta.refresh").fetchone()
    found = {first, first_count, second, second_count, int(third)}
    assert len(found) == 1, found
    return found.pop()
"""

READ_ANEW = f"""
{READ}
seen = [0]
while seen[-1] < last:
    with duckdb.connect(path, read_only=True) as connection:
        connection.begin()
        found = {{numbers(connection) for _ in range(3)}}
        connection.commit()
    assert len(found) == 1, found
    seen.append(found.pop())
    assert seen[-1] >= seen[-2], seen
print(json.dumps(seen[1:]))
"""

HOLD = f"""
{READ}
held = duckdb.connect(path, read_only=True)
held.begin()
print("begun", flush=True)
seen = [numbers(held) for _ in sys.stdin]
held.close()
with duckdb.connect(path, read_only=True) as anew:
    print(json.dumps([*seen, numbers(anew)]))
"""

READ_ONCE = """
import sys, duckdb
with duckdb.connect(sys.argv[1], read_only=True) as connection:
    print([number for number, in connection.execute("SELECT n FROM marts.rpt_one").fetchall()])
"""

FORGET = """
import os, sys, duckdb
path, user = sys.argv[1], int(sys.argv[2])
if os.geteuid() != user:
    os.setuid(user)
try:
    connection = duckdb.connect(path)
    print("read", connection.execute("SELECT n FROM marts.rpt_one").fetchall(), flush=True)
    sys.stdin.readline()
    connection.execute("INSERT INTO marts.rpt_one VALUES (666)")
    print("wrote")
except duckdb.Error as error:
    print(" ".join(str(error).split()), flush=True)
"""
NOBODY = 65534


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that other users may read, unlike pytest's."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


def refresh(folder: Path, number: int) -> Path:
    """Publish one mart that carries the refresh's number; returns the published file."""
    path, published_path = folder / "warehouse.duckdb", folder / "analytics.duckdb"
    begin_build(path, str(number))
    with open_warehouse(path) as warehouse:
        warehouse.execute("CREATE SCHEMA IF NOT EXISTS marts")
        warehouse.execute(f"CREATE OR REPLACE TABLE marts.rpt_one AS SELECT {number} AS n")
    finish_build(path, str(number))
    publish(path, published_path)
    return published_path


def as_analyst(published_path: Path) -> list[int]:
    with run_python(READ_ONCE, published_path) as analyst:
        answer, complaint = analyst.communicate(timeout=60)
    assert complaint == ""
    numbers: list[int] = json.loads(answer)
    return numbers


def test_readers_never_notice_a_hundred_refreshes(folder: Path) -> None:
    published_path = folder / "analytics.duckdb"
    publisher = run_python(PUBLISH, folder / "warehouse.duckdb", published_path, REFRESHES)
    with publisher:
        assert publisher.stdout is not None
        assert publisher.stdout.readline() == "1\n"
        holder = run_python(HOLD, published_path, REFRESHES)
        anew = run_python(READ_ANEW, published_path, REFRESHES)
        with holder, anew:
            assert holder.stdin is not None
            for line in publisher.stdout:
                holder.stdin.write(line)
                holder.stdin.flush()
            seen, complaint = anew.communicate(timeout=60)
            assert complaint == ""
            held, complaint = holder.communicate(timeout=60)
            assert complaint == ""
        assert publisher.wait() == 0
    # the one who opened anew saw many refreshes, each whole; the one who held on saw a single one until the end
    assert len(set(json.loads(seen))) > REFRESHES / 10
    assert json.loads(seen)[-1] == REFRESHES
    *numbers, after = json.loads(held.removeprefix("begun\n"))
    assert len(numbers) == REFRESHES - 1
    assert (len(set(numbers)), after) == (1, REFRESHES)


def test_reader_who_forgets_read_only_is_refused(folder: Path) -> None:
    published_path = refresh(folder, 1)
    forgetful = run_python(FORGET, published_path, os.geteuid() or NOBODY)
    answer, complaint = forgetful.communicate("\n", timeout=60)
    assert complaint == ""
    assert "Permission denied" in answer
    assert as_analyst(published_path) == [1]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may open a read-only file to write")
def test_root_who_forgets_read_only_changes_nothing(folder: Path) -> None:
    published_path = refresh(folder, 1)
    with run_python(FORGET, published_path, 0) as root:
        assert root.stdout is not None
        assert root.stdout.readline() == "read [(1,)]\n"
        # his lock shuts out the others, until the next refresh
        refresh(folder, 2)
        assert as_analyst(published_path) == [2]
        answer, complaint = root.communicate("\n", timeout=60)
    assert complaint == ""
    assert "open-the-published-file-read-only" in os.readlink(f"{published_path}.wal")
    assert "Failed to commit: Cannot open file" in answer
    assert as_analyst(published_path) == [2]


def test_open_connection_keeps_its_whole_process_on_the_old_file(folder: Path) -> None:
    published_path = refresh(folder, 1)
    query = "SELECT n FROM marts.rpt_one"
    with duckdb.connect(str(published_path), read_only=True) as first:
        assert first.execute(query).fetchall() == [(1,)]
        refresh(folder, 2)
        with duckdb.connect(str(published_path), read_only=True) as second:
            assert second.execute(query).fetchall() == [(1,)]
    with duckdb.connect(str(published_path), read_only=True) as third:
        assert third.execute(query).fetchall() == [(2,)]
