"""What keeps Spark from building is said in one line, before anything is built; what ends it, at the end."""

import gc
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from pyspark.sql import SparkSession

from pipelines.spark import executors
from pipelines.spark.errors import (
    ExecutorsMissing,
    ExtraMissing,
    JavaMissing,
    JavaTooOld,
    MasterAway,
    MasterMalformed,
    MasterRefuses,
    MemoryTooSmall,
    SparkFailed,
    SparkLost,
    SparkNotStarted,
    SparkUnusable,
    explain,
)
from pipelines.spark.needs import check_needs
from pipelines.spark.session import open_session
from tests.spark.cluster import SparkCluster, kill, spark_cluster

# the time in which this machine starts some ten Java processes, while other tests run
pytestmark = pytest.mark.timeout(900)
LOCAL = "local[1]"
# each of 3,000 texts is a megabyte, and an executor has room for some hundred
TOO_MUCH = "SELECT size(collect_list(repeat(cast(id AS STRING), 1000000))) FROM range(1000, 4000)"
SLOW = "SELECT count(*) FROM range(2) WHERE reflect('java.lang.Thread', 'sleep', 60000L) IS NULL"
A_DRIVER = """
import sys
from pathlib import Path
from pipelines.spark.session import open_session
with open_session("local[1]", Path(sys.argv[1])) as session:
    print(session.sparkContext._gateway.proc.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize(
    ("module", "package"), [("pyspark", "pyspark"), ("dbt.adapters.spark", "dbt-spark")], ids=["pyspark", "dbt-spark"]
)
def test_missing_extra_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch, module: str, package: str) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ExtraMissing) as caught:
        check_needs(LOCAL)
    assert (
        str(caught.value)
        == f"FOOTFALL_ENGINE is spark, and {package} is not installed: `pip install 'footfall[spark]'`"
    )


def test_missing_java_is_named(without_java: Path) -> None:
    with pytest.raises(JavaMissing) as caught:
        check_needs(LOCAL)
    assert str(caught.value) == (
        "Spark needs Java 17 or newer, and none runs: java: command not found "
        "(install it, or let JAVA_HOME say where it is)"
    )


def test_java_home_without_java_is_named(without_java: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JAVA_HOME", "/nowhere")
    with pytest.raises(JavaMissing, match="none runs: /nowhere/bin/java: No such file or directory"):
        check_needs(LOCAL)


@pytest.mark.parametrize(("version", "major"), [("1.8.0_392", 8), ("11.0.21", 11)], ids=["8", "11"])
def test_java_that_is_too_old_is_named(without_java: Path, version: str, major: int) -> None:
    (without_java / "java").write_text(f"#!/bin/sh\necho 'openjdk version \"{version}\"' >&2\n")
    (without_java / "java").chmod(0o755)
    with pytest.raises(JavaTooOld) as caught:
        check_needs(LOCAL)
    assert str(caught.value) == (
        f"Spark needs Java 17 or newer, and finds Java {major}: install it, or let JAVA_HOME say where it is"
    )


@pytest.mark.parametrize(
    "master",
    [
        *("", "spark", "spark://", "spark://host", "spark://host:0", "spark://host:99999", "spark://a:1,b", "local[0]"),
        *("local[", "http://host:8080", "spark://host:7077/path", "k8s://"),
    ],
)
def test_malformed_master_is_named(master: str) -> None:
    with pytest.raises(MasterMalformed) as caught:
        check_needs(master)
    assert str(caught.value).startswith(f"FOOTFALL_SPARK_MASTER is {master!r}, not `local[*]`, `local[4]`, `spark://")


@pytest.mark.parametrize("master", ["local", "local[*]", "local[2]", "local[2, 3]", "yarn", "k8s://https://host:443"])
def test_masters_that_nobody_need_answer_for_are_taken(master: str) -> None:
    check_needs(master)


def test_address_where_nobody_answers_is_named(free_port: int) -> None:
    with pytest.raises(MasterAway) as caught, open_session(f"spark://127.0.0.1:{free_port}", Path("lake")):
        pass
    assert str(caught.value) == (
        f"no Spark master answers at spark://127.0.0.1:{free_port}: Connection refused "
        "(check FOOTFALL_SPARK_MASTER, and that the master runs)"
    )


def test_one_of_several_masters_need_answer(free_port: int, running_cluster: SparkCluster) -> None:
    running = running_cluster.address.removeprefix("spark://")
    check_needs(f"spark://127.0.0.1:{free_port},{running}")


def test_what_is_no_master_is_told_from_one(running_cluster: SparkCluster, tmp_path: Path) -> None:
    page = running_cluster.page.replace("http://", "spark://")
    with pytest.raises(MasterRefuses) as caught, open_session(page, tmp_path):
        pass
    assert str(caught.value).startswith(f"what answers at {page} takes no program of Spark 4.")


def test_cluster_without_workers_is_named(
    running_cluster: SparkCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executors, "EXECUTOR_SECONDS", 3.0)
    running_cluster.kill_workers(running_cluster.worker_count)
    with pytest.raises(ExecutorsMissing) as caught, open_session(running_cluster.address, tmp_path):
        pass
    assert str(caught.value) == (
        f"{running_cluster.address} gave no executor in 3 s: it has no worker, or none with 1g and a core left "
        "(start workers, or ask for less: spark.executor.memory and .cores in spark-defaults.conf)"
    )


def test_executor_larger_than_any_worker_is_named(
    cluster: SparkCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, defaults: Callable[..., None]
) -> None:
    monkeypatch.setattr(executors, "EXECUTOR_SECONDS", 3.0)
    defaults(executor_memory="2g")
    with (
        pytest.raises(ExecutorsMissing, match="or none with 2g and a core left"),
        open_session(cluster.address, tmp_path),
    ):
        pass


def test_too_little_memory_is_named_with_its_setting(tmp_path: Path, defaults: Callable[..., None]) -> None:
    defaults(driver_memory="100m")
    with pytest.raises(MemoryTooSmall) as caught, open_session(LOCAL, tmp_path):
        pass
    assert str(caught.value) == (
        "spark.driver.memory is 100 MiB, and Spark does not start with less than 450: raise it in spark-defaults.conf"
    )


# Spark leaves the pipe to a Java that does not start to the garbage collector
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_java_that_does_not_start_is_quoted(tmp_path: Path, defaults: Callable[..., None]) -> None:
    defaults(driver_memory="100x")
    with pytest.raises(SparkNotStarted) as caught, open_session(LOCAL, tmp_path):
        pass
    assert str(caught.value) == "Spark does not start with local[1]: Invalid maximum heap size: -Xmx100x"
    del caught
    gc.collect()


def test_ended_driver_is_named_and_the_next_session_works(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SparkLost) as caught, open_session(LOCAL, tmp_path) as session:
        java = _java(session)
        java.kill()
        session.sql("SELECT 1").collect()
    assert str(caught.value) == (
        "Spark at local[1] ended during the build: its driver, a Java process, ended with -9 "
        "(nothing is published; the next refresh builds it)"
    )
    with pytest.raises(SparkFailed) as failed, open_session(LOCAL, tmp_path) as session:
        assert [row.asDict() for row in session.sql("SELECT 1 AS one").collect()] == [{"one": 1}]
        assert session.conf.get("spark.sql.session.timeZone") == "UTC"
        # as dbt-spark opens it
        assert type(session).builder.enableHiveSupport().getOrCreate() is session
        assert session.conf.get("spark.sql.catalogImplementation") == "in-memory"
        java = _java(session)
        session.sql("SELECT 1 / id FROM range(1)").collect()
    assert str(failed.value).startswith("Spark failed: [DIVIDE_BY_ZERO] Division by zero. ")
    assert java.returncode is not None
    assert capfd.readouterr() == ("", "")


def test_killed_process_leaves_no_java_behind(tmp_path: Path) -> None:
    command = [sys.executable, "-c", A_DRIVER, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        java = psutil.Process(int(process.stdout.readline()))
        process.kill()
    assert java.wait(60) is None


def test_memory_that_is_used_up_is_named_with_its_setting(cluster: SparkCluster, tmp_path: Path) -> None:
    with open_session(cluster.address, tmp_path) as session:
        with pytest.raises(Exception, match=r"ExecutorLostFailure|OutOfMemoryError") as caught:
            session.sql(TOO_MUCH).collect()
        told = explain(caught.value)
    assert told.startswith("out of memory: ")
    assert told.endswith("(raise spark.executor.memory in spark-defaults.conf)")
    assert "\n" not in told


def test_loss_of_all_workers_ends_the_build(
    cluster: SparkCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (
        pytest.raises(ExecutorsMissing, match="gave no executor in 3 s"),
        open_session(cluster.address, tmp_path) as session,
    ):
        cluster.kill_workers(2)
        monkeypatch.setattr(executors, "EXECUTOR_SECONDS", 3.0)
        session.sql(SLOW).collect()


def test_build_goes_on_without_its_master(tmp_path: Path) -> None:
    with spark_cluster(tmp_path / "cluster", worker_count=1) as cluster:
        with open_session(cluster.address, tmp_path) as session:
            kill(cluster.master)
            assert session.range(1000).repartition(3).count() == 1000
        with pytest.raises(MasterAway):
            check_needs(cluster.address)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            "An error occurred while calling o9.sql.\n: java.lang.OutOfMemoryError: Java heap space\n\tat a.B",
            "out of memory: Java heap space (raise spark.driver.memory in spark-defaults.conf)",
        ),
        (
            "x\n\tat a.B\nCaused by: org.apache.spark.SparkException: [A_CLASS] It is so. SQLSTATE: 22012\n\tat a.B",
            "[A_CLASS] It is so.",
        ),
        ("", "it gives no reason"),
    ],
    ids=["out of memory", "innermost cause", "nothing"],
)
def test_errors_of_spark_are_one_line(error: str, told: str) -> None:
    assert explain(error) == told
    assert explain(ValueError(error)) == told


def test_each_error_is_one_line() -> None:
    kinds = [kind for kind in SparkUnusable.__subclasses__() if kind.__doc__]
    assert len(kinds) > 10
    assert [kind.__name__ for kind in kinds if "\n" in (kind.__doc__ or "")] == []


@pytest.fixture
def without_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one folder, with what Spark's scripts need and without Java."""
    for name in ("bash", "dirname", "ps", "sh"):
        (tmp_path / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    assert "JAVA_HOME" not in os.environ
    return tmp_path


@pytest.fixture
def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _java(session: SparkSession) -> "subprocess.Popen[bytes]":
    gateway = session.sparkContext._gateway
    assert gateway
    process = gateway.proc
    assert isinstance(process, subprocess.Popen)
    return process
