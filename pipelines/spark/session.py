"""The session in which Spark builds the models: opened on the cluster, watched, ended with all that was started for it.

Spark's driver is a Java process of its own, which this one starts and talks to. What it says is kept while the session
lasts, and only its reason is told. What the models need of Spark is set here; how much memory and how many cores it
takes is the operator's, in `spark-defaults.conf`. Nothing is known here of models and files.
"""

import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import STDOUT, TimeoutExpired
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from pipelines.spark.errors import (
    MasterRefuses,
    MemoryTooSmall,
    SparkLost,
    SparkNotStarted,
    SparkUnusable,
    explain,
)
from pipelines.spark.executors import ExecutorWatch
from pipelines.spark.needs import check_needs, is_local, is_on_loopback

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

# Py4J, by which Python talks to Java, has no types
Gateway = Any
STOP_SECONDS = 20
LOG_BYTES = 2**20
# what the models and their reading rely on
SETTINGS = {
    "spark.app.name": "footfall",
    "spark.sql.catalogImplementation": "in-memory",
    # where staging's views are, and what they read
    "spark.sql.globalTempDatabase": "staging",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.sources.partitionOverwriteMode": "dynamic",
    "spark.sql.hive.manageFilesourcePartitions": "false",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
    "spark.sql.parquet.compression.codec": "zstd",
    "spark.ui.enabled": "false",
    "spark.ui.showConsoleProgress": "false",
}
LOOPBACK = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
# these write a query with its stack to stderr for each error that Python is told of anyway
LOUD = ("SQLQueryContextLogger", "DataFrameQueryContextLogger")


MEMORY = re.compile(r"memory \d+ must be at least", re.IGNORECASE)
UNRESPONSIVE = re.compile(r"All masters are unresponsive")
TELLING = re.compile(r"ERROR|[Ee]rror:|Error occurred|Invalid|Reason:")


@contextmanager
def open_session(master: str, lake: Path) -> Iterator["SparkSession"]:
    """Yield Spark's one session of this process, on the cluster at `master`; its folder of tables is below `lake`.

    dbt-spark's method `session` takes the same one. Raises SparkUnusable: at once where it cannot start, and at the end
    where it was lost, whatever the block made of that.
    """
    check_needs(master)
    with TemporaryFile() as log, _java(master, lake, log) as gateway, _context(master, gateway) as context:
        from pyspark.sql import SparkSession

        session = SparkSession(context)
        watch = ExecutorWatch(context, master)
        watch.start()
        try:
            if not is_local(master):
                # a cluster without workers takes jobs as well, and never begins them
                session.range(1).count()
            yield session
        except Exception as error:
            if loss := watch.end() or _loss(master, context, gateway, log):
                raise loss from error
            raise
        else:
            if loss := watch.end() or _loss(master, context, gateway, log):
                raise loss
        finally:
            watch.end()
            with suppress(Exception):
                session.stop()


@contextmanager
def _java(master: str, lake: Path, log: IO[bytes]) -> Iterator[Gateway]:
    """Start Java and wait for its end. Where this process is killed, Java's input is at its end, and so is Java."""
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException
    from pyspark.java_gateway import launch_gateway

    settings = SETTINGS | {"spark.master": master, "spark.sql.warehouse.dir": f"{lake}/warehouse"}
    if is_on_loopback(master):
        settings |= LOOPBACK
    conf = SparkConf(loadDefaults=False).setAll(list(settings.items()))
    try:
        gateway = launch_gateway(conf, {"stdout": log, "stderr": STDOUT})  # type: ignore[no-untyped-call]
    except PySparkException as error:
        raise SparkNotStarted(master, _said(log)) from error
    process = gateway.proc
    try:
        yield gateway
    finally:
        with suppress(Exception):
            gateway.shutdown()
        # else the next session of this process would look for this one's Java
        SparkContext._gateway = SparkContext._jvm = None
        process.stdin.close()
        try:
            process.wait(STOP_SECONDS)
        except TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _context(master: str, gateway: Gateway) -> Iterator["SparkContext"]:
    from pyspark import SparkContext, __version__
    from pyspark.logger import PySparkLogger

    for name in LOUD:
        PySparkLogger.getLogger(name).disabled = True
    handler = signal.getsignal(signal.SIGINT)
    try:
        context = SparkContext(gateway=gateway)
    except Exception as error:
        reason = explain(error)
        if MEMORY.search(reason):
            raise MemoryTooSmall(reason) from error
        if UNRESPONSIVE.search(str(error)):
            raise MasterRefuses(master, __version__) from error
        raise SparkNotStarted(master, reason) from error
    finally:
        # Spark's own would stay after the session, and hide from Dagster that a run is to be cancelled
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)
    try:
        yield context
    finally:
        with suppress(Exception):
            context.stop()


def _loss(master: str, context: "SparkContext", gateway: Gateway, log: IO[bytes]) -> SparkUnusable | None:
    """Tell whether Spark has ended by itself, and why."""
    try:
        if not context._jsc.sc().isStopped():
            return None
    except Exception:
        with suppress(TimeoutExpired):
            code = gateway.proc.wait(STOP_SECONDS)
            return SparkLost(master, f"Java's process, which is Spark's driver, ended with {code}")
    return SparkLost(master, _said(log))


def _said(log: IO[bytes]) -> str:
    """Return the last that Java told of an error, else its last line. It writes at its own place: nothing is moved."""
    lines = os.pread(log.fileno(), LOG_BYTES, 0).decode(errors="replace").splitlines()
    told = [line for line in lines if TELLING.search(line)] or lines or ["it said nothing"]
    return explain(re.sub(r"^[\d/: ]+(ERROR|WARN) \S+ ", "", told[-1]))
