"""Spark's driver, a Java process that this one starts, talks to and ends. What it says is kept to tell the reason from.

Where this process is killed, Java's input is at its end, and Java ends as well.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from subprocess import STDOUT, Popen, TimeoutExpired
from tempfile import TemporaryFile
from typing import IO, Any

from pipelines.spark.errors import MasterRefuses, SparkLost, SparkNotStarted, SparkUnusable, explain

STOP_SECONDS = 20
LOG_BYTES = 2**20
HEADING = re.compile(r"^[\d/: ]+(ERROR|WARN) \S+ ")
TELLING = re.compile(r"ERROR|[Ee]rror:|Error occurred|Invalid|Reason:")
UNRESPONSIVE = "All masters are unresponsive"


@dataclass(frozen=True, slots=True)
class Driver:
    """A driver that runs. `gateway` is Py4J's, by which Python calls what is in it; Py4J has no types."""

    master: str
    gateway: Any
    process: Popen[bytes]
    log: IO[bytes]

    def is_gone(self) -> bool:
        """Tell whether the process has ended; it may take a moment after the first call that it did not answer."""
        try:
            return bool(self.gateway.jvm.java.lang.System.nanoTime() < 0)
        except Exception:
            with suppress(TimeoutExpired):
                self.process.wait(STOP_SECONDS)
            return True

    def loss(self) -> SparkUnusable:
        """Say why Spark has ended, which it has."""
        from pyspark import __version__

        if (code := self.process.poll()) is not None:
            return SparkLost(self.master, f"its driver, a Java process, ended with {code}")
        told = _errors_in(self.log)[-1]
        return MasterRefuses(self.master, __version__) if UNRESPONSIVE in told else SparkLost(self.master, told)


@contextmanager
def start_driver(master: str, settings: Mapping[str, str]) -> Iterator[Driver]:
    """Start it with Spark's settings, which go before those of `spark-defaults.conf`. Raises SparkNotStarted."""
    from pyspark import SparkConf, SparkContext
    from pyspark.errors import PySparkException
    from pyspark.java_gateway import launch_gateway

    conf = SparkConf(loadDefaults=False).setAll(list(settings.items()))
    with TemporaryFile() as log:
        try:
            gateway = launch_gateway(conf, {"stdout": log, "stderr": STDOUT})  # type: ignore[no-untyped-call]
        except PySparkException as error:
            raise SparkNotStarted(master, _errors_in(log)[0]) from error
        try:
            yield Driver(master, gateway, gateway.proc, log)
        finally:
            # else the next session of this process would talk to this one's driver
            SparkContext._gateway = SparkContext._jvm = None
            _end(gateway)


def _errors_in(log: IO[bytes]) -> list[str]:
    """Return what Java told of errors, else its last line. It writes at its own place, so nothing is moved."""
    lines = os.pread(log.fileno(), LOG_BYTES, 0).decode(errors="replace").splitlines()
    told = [line for line in lines if TELLING.search(line)] or lines[-1:] or ["it said nothing"]
    return [explain(HEADING.sub("", line)) for line in told]


def _end(gateway: Any) -> None:  # noqa: ANN401 (Py4J has no types)
    with suppress(Exception):
        gateway.shutdown()
    with suppress(BrokenPipeError):
        gateway.proc.stdin.close()
    try:
        gateway.proc.wait(STOP_SECONDS)
    except TimeoutExpired:
        gateway.proc.kill()
        gateway.proc.wait()
