"""Whether the cluster gives what jobs need to begin. Spark asks for executors for ever; a build has to end."""

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from pipelines.spark.errors import ExecutorsMissing, SparkUnusable
from pipelines.spark.needs import is_local

if TYPE_CHECKING:
    from pyspark import SparkContext

# an executor is a Java process that a worker starts: some seconds, and some more where machines are busy
EXECUTOR_SECONDS = 120.0
LOOK_SECONDS = 1.0
END_SECONDS = 20.0


class ExecutorWatch(threading.Thread):
    """Stops Spark when jobs have waited for EXECUTOR_SECONDS for a first executor, or for one in place of all lost.

    A cluster that gives executors when there are jobs alone (dynamic allocation) may have none in between.
    """

    def __init__(self, context: "SparkContext", master: str) -> None:
        super().__init__(name="spark-executors", daemon=True)
        self._context, self._master = context, master
        self._ended = threading.Event()
        self._loss: SparkUnusable | None = None

    def run(self) -> None:
        """Look until the end."""
        if is_local(self._master):
            return
        waits_since: float | None = None
        # an error here means that Java is gone, which the session sees at its end
        with suppress(Exception):
            while not self._ended.wait(LOOK_SECONDS):
                now = time.monotonic()
                waits_since = (waits_since or now) if self._is_waiting() else None
                if waits_since is not None and now - waits_since >= EXECUTOR_SECONDS:
                    memory = str(self._context.getConf().get("spark.executor.memory", "1g"))
                    self._loss = ExecutorsMissing(self._master, EXECUTOR_SECONDS, memory)
                    self._context._jsc.sc().stop()
                    return

    def end(self) -> SparkUnusable | None:
        """Look no more. Return why Spark was stopped, if it was."""
        self._ended.set()
        self.join(END_SECONDS)
        return self._loss

    def _is_waiting(self) -> bool:
        # the driver is counted, too
        executor_count = self._context._jsc.sc().getExecutorMemoryStatus().size() - 1
        return executor_count == 0 and bool(self._context.statusTracker().getActiveJobsIds())
