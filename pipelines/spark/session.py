"""The session in which Spark builds the models: opened on the cluster, watched, ended with all that was started for it.

What the models need of Spark is set here; how much memory and how many cores it takes is the operator's, in
`spark-defaults.conf`. Nothing is known here of models and files.
"""

import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.spark.driver import Driver, start_driver
from pipelines.spark.errors import MemoryTooSmall, SparkFailed, SparkNotStarted, SparkUnusable, explain
from pipelines.spark.executors import ExecutorWatch
from pipelines.spark.needs import check_needs, is_local, is_on_loopback

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

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
MEMORY = re.compile(r"(?P<of>System|Executor) memory (?P<found>\d+) must be at least (?P<needed>\d+)")


@contextmanager
def open_session(master: str, lake: Path) -> Iterator["SparkSession"]:
    """Yield Spark's one session of this process, on the cluster at `master`; its folder of tables is below `lake`.

    dbt-spark's method `session` takes the same one. Raises SparkUnusable: at once where it cannot start, at the end
    where Spark was lost, whatever the block made of that. An error of Spark's that the block lets go is a SparkFailed.
    """
    check_needs(master)
    with start_driver(master, _settings(master, lake)) as driver:
        context = _start(driver)
        watch = ExecutorWatch(context, master)
        watch.start()
        try:
            yield _session(context, master)
        except Exception as error:
            if failure := watch.end() or _loss(driver, context) or _failure(error):
                raise failure from error
            raise
        else:
            if failure := watch.end() or _loss(driver, context):
                raise failure
        finally:
            watch.end()
            _stop(driver, context)


def _settings(master: str, lake: Path) -> dict[str, str]:
    of_here = {"spark.master": master, "spark.sql.warehouse.dir": f"{lake}/warehouse"}
    return SETTINGS | of_here | (LOOPBACK if is_on_loopback(master) else {})


def _start(driver: Driver) -> "SparkContext":
    """Raises MemoryTooSmall, SparkNotStarted."""
    from pyspark import SparkContext
    from pyspark.logger import PySparkLogger

    for name in LOUD:
        PySparkLogger.getLogger(name).disabled = True
    handler = signal.getsignal(signal.SIGINT)
    try:
        return SparkContext(gateway=driver.gateway)
    except Exception as error:
        raise _refusal(driver.master, explain(error)) from error
    finally:
        # Spark's own would stay after the session, and hide from Dagster that a run is to be cancelled
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, handler)


def _refusal(master: str, reason: str) -> SparkUnusable:
    if not (memory := MEMORY.search(reason)):
        return SparkNotStarted(master, reason)
    setting = "spark.driver.memory" if memory["of"] == "System" else "spark.executor.memory"
    return MemoryTooSmall(setting, int(memory["found"]) // 2**20, int(memory["needed"]) // 2**20)


def _session(context: "SparkContext", master: str) -> "SparkSession":
    from pyspark.sql import SparkSession

    session = SparkSession(context)
    if not is_local(master):
        # a cluster without workers takes jobs as well, and never begins them
        session.range(1).count()
    return session


def _loss(driver: Driver, context: "SparkContext") -> SparkUnusable | None:
    """Tell whether Spark has ended by itself, and why."""
    return driver.loss() if driver.is_gone() or context._jsc.sc().isStopped() else None


def _failure(error: Exception) -> SparkUnusable | None:
    """Put an error into words while the driver is there, without which it has none."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return SparkFailed(explain(error)) if isinstance(error, Py4JError | PySparkException) else None


def _stop(driver: Driver, context: "SparkContext") -> None:
    """Stop Spark, and let Python forget it: another session may follow in this process."""
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

    if driver.process.poll() is not None:
        # stopping would ask Java
        context._jsc = None
    with suppress(Exception):
        context.stop()
    SparkContext._active_spark_context = None
    SparkSession._instantiatedSession = SparkSession._activeSession = None
