"""The writer lock: one at a time, the holder named, never stale."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from footfall.cli import app
from tests.integration.spools import run_python
from warehouse.connection import open_warehouse
from warehouse.errors import WarehouseUnusable, WriterBusy
from warehouse.writer import writer_lock

A_HOLDER = """
import sys
from pathlib import Path
from warehouse.writer import writer_lock
with writer_lock(Path(sys.argv[1]), purpose="build models"):
    print("held", flush=True)
    sys.stdin.readline()
"""

A_HOLDER_ON_A_FULL_DISK = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n{A_HOLDER}"

# as dbt started by hand has it, or somebody's notebook: it knows nothing of our lock
A_STRANGER = """
import sys, duckdb
try:
    connection = duckdb.connect(sys.argv[1])
    print("held", flush=True)
    sys.stdin.readline()
except duckdb.Error as error:
    print(" ".join(str(error).split()))
"""


@pytest.fixture
def warehouse_path(tmp_path: Path) -> Path:
    (tmp_path / "warehouse").mkdir()
    return tmp_path / "warehouse" / "warehouse.duckdb"


@pytest.fixture
def holder(warehouse_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the lock until it reads a line."""
    process = subprocess.Popen(
        [sys.executable, "-c", A_HOLDER, str(warehouse_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.mark.parametrize("wait_seconds", [0, 0.2])
def test_second_writer_is_told_who_holds(
    holder: subprocess.Popen[str], warehouse_path: Path, wait_seconds: float
) -> None:
    with (
        pytest.raises(WriterBusy, match=rf"pid {holder.pid} \(build models\)"),
        writer_lock(warehouse_path, wait_seconds),
    ):
        pass


def test_holder_on_full_disk_holds_without_a_name(warehouse_path: Path) -> None:
    with run_python(A_HOLDER_ON_A_FULL_DISK, warehouse_path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(WriterBusy, match="its disk is full"), writer_lock(warehouse_path):
            pass
        _, complaint = process.communicate("\n")
    assert complaint == ""


def test_stranger_with_the_file_open_is_named(warehouse_path: Path) -> None:
    with run_python(A_STRANGER, warehouse_path) as stranger:
        assert stranger.stdout is not None
        assert stranger.stdout.readline() == "held\n"
        with (
            pytest.raises(WarehouseUnusable, match=rf"cannot open .* lock is held in .*\(PID {stranger.pid}\)"),
            open_warehouse(warehouse_path),
        ):
            pass
        stranger.communicate("\n")


def test_stranger_beside_a_writer_is_told_who_writes(warehouse_path: Path) -> None:
    with open_warehouse(warehouse_path), run_python(A_STRANGER, warehouse_path) as stranger:
        answer, _ = stranger.communicate("\n")
    assert f"(PID {os.getpid()})" in answer


def test_killed_holder_blocks_nobody(holder: subprocess.Popen[str], warehouse_path: Path) -> None:
    holder.kill()
    holder.wait()
    with writer_lock(warehouse_path):
        pass


def test_waiting_writer_follows_the_holder(holder: subprocess.Popen[str], warehouse_path: Path) -> None:
    assert holder.stdin is not None
    holder.stdin.write("\n")
    holder.stdin.flush()
    with writer_lock(warehouse_path, wait_seconds=30):
        pass


def test_lock_is_free_again_after_an_error(warehouse_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), writer_lock(warehouse_path):
        raise ZeroDivisionError
    with writer_lock(warehouse_path):
        pass


def test_folder_that_cannot_be_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(WarehouseUnusable, match=r"warehouse\.duckdb"),
        writer_lock(tmp_path / "file" / "warehouse.duckdb"),
    ):
        pass


def test_refresh_by_hand_is_refused_at_once(holder: subprocess.Popen[str], warehouse_path: Path) -> None:
    started_at = time.monotonic()
    refused = CliRunner().invoke(app, ["refresh", "--home", str(warehouse_path.parents[1])])
    assert str(refused.exception) == (
        f"another process writes {warehouse_path}: pid {holder.pid} (build models) (wait for it to end, then try again)"
    )
    assert time.monotonic() - started_at < 10
    assert {path.name for path in warehouse_path.parent.iterdir()} == {"warehouse.duckdb.lock"}
