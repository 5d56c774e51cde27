"""The session in which Spark builds the models: opened on the cluster, watched, and ended with all that was started for it.

Spark's driver is a Java process of its own, which this one starts and talks to. What it says is kept for the time of the
session, and only its reason is told. What the models need of Spark is set here; how much memory and how many cores it
takes is the operator's, in `spark-defaults.conf`. Nothing is known here of models and files.
"""

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import STDOUT, TimeoutExpired
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from pipelines.spark.errors import (
    ExecutorsMissing,
    MasterRefuses,
    MemoryTooSmall,
    SparkLost,
    SparkNotStarted,
    SparkUnusable,
    explain,
)
from pipelines.spark.needs import check_needs, is_local, is_on_loopback

if TYPE_CHECKING:
    from pyspark import SparkContext
    from pyspark.sql import SparkSession

# an executor is a Java process that a worker starts: some seconds; Spark itself would wait for one for ever
EXECUTOR_SECONDS = 60.0
LOOK_SECONDS = 1.0
STOP_SECONDS = 20
LOG_BYTES = 2**20
# what the models and their reading rely on
SETTINGS = {
    "spark.app.name": "footfall",
    "spark.sql.catalogImplementation": "in-memory",
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
        watch = _Watch(context, master)
        try:
            watch.start()
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


class _Watch(threading.Thread):
    """Stops Spark when jobs have waited for an executor for too long, which Spark itself never does."""

    def __init__(self, context: "SparkContext", master: str) -> None:
        super().__init__(name="spark-watch", daemon=True)
        self._context, self._master = context, master
        self._ended = threading.Event()
        self._loss: SparkUnusable | None = None

    def run(self) -> None:
        """Look until the end."""
        if is_local(self._master):
            return
        waited = 0.0
        # an error of Py4J's: Java is gone, which is seen at the end
        with suppress(Exception):
            while not self._ended.wait(LOOK_SECONDS):
                waited = waited + LOOK_SECONDS if self._is_waiting() else 0.0
                if waited >= EXECUTOR_SECONDS:
                    memory = str(self._context.getConf().get("spark.executor.memory", "1g"))
                    self._loss = ExecutorsMissing(self._master, EXECUTOR_SECONDS, memory)
                    self._java_context.stop()
                    return

    def end(self) -> SparkUnusable | None:
        """Look no more; return what was seen."""
        self._ended.set()
        if self.is_alive():
            self.join(STOP_SECONDS)
        return self._loss

    @property
    def _java_context(self) -> Any:  # noqa: ANN401
        return self._context._jsc.sc()

    def _is_waiting(self) -> bool:
        # the driver is counted too
        has_executors = self._java_context.getExecutorMemoryStatus().size() > 1
        return not has_executors and bool(self._context.statusTracker().getActiveJobsIds())
