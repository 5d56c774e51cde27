"""Why Spark cannot be used, each in one line that says what to do, and Spark's own errors without their stacks."""

import re

from pipelines.errors import PipelineError

# what stands before the message in the text of an exception of Java's, or of Python's about one
HEADINGS = re.compile(
    r"An error occurred while calling \S+\s*:?"
    r"|(Exception in thread \"[^\"]*\" )?(\b[a-z]\w*\.)+[A-Z]\w*(Exception|Error): "
)
# where the message ends and the program's own matters begin
REST = re.compile(r"\n\s*at |\n\t|\nDriver stacktrace:|\n== SQL|\nJVM stacktrace:|\n'?[A-Z]\w+ \[|SQLSTATE: \w{5}")
CAUSE = re.compile(r"Caused by: (?P<cause>.+)")
# 52 is what an executor ends with that had too little; one that the system killed for it ends with 137
OUT_OF_MEMORY = re.compile(r"OutOfMemoryError|memory limits|exited with code (52|137)\b")
AT_EXECUTOR = re.compile(r"executor \d+|ExecutorLostFailure")
TOO_BIG_TO_COLLECT = "spark.driver.maxResultSize"


class SparkUnusable(PipelineError):
    """Spark cannot be used."""


class ExtraMissing(SparkUnusable):
    """FOOTFALL_ENGINE is spark, and {package} is not installed: `pip install 'footfall[spark]'`"""

    def __init__(self, package: str) -> None:
        self.package = package


class JavaMissing(SparkUnusable):
    """Spark needs Java {needed} or newer, and none runs: {reason} (install it, or let JAVA_HOME say where it is)"""

    def __init__(self, needed: int, reason: str) -> None:
        self.needed, self.reason = needed, reason


class JavaTooOld(SparkUnusable):
    """Spark needs Java {needed} or newer, and finds Java {found}: install it, or let JAVA_HOME say where it is"""

    def __init__(self, needed: int, found: int) -> None:
        self.needed, self.found = needed, found


class MasterMalformed(SparkUnusable):
    """FOOTFALL_SPARK_MASTER is {master!r}, not `local[*]`, `local[4]`, `spark://host:7077`, `yarn` or `k8s://host:443`"""

    def __init__(self, master: str) -> None:
        self.master = master


class MasterAway(SparkUnusable):
    """no Spark master answers at {master}: {reason} (check FOOTFALL_SPARK_MASTER, and that the master runs)"""

    def __init__(self, master: str, reason: str) -> None:
        self.master, self.reason = master, reason


class MasterRefuses(SparkUnusable):
    """what answers at {master} takes no program of Spark {version}: is it a master, and is it of that version?"""

    def __init__(self, master: str, version: str) -> None:
        self.master, self.version = master, version


class ExecutorsMissing(SparkUnusable):
    """{master} gave no executor in {seconds:g} s: it has no worker, or none with {memory} and a core left ({do})"""

    def __init__(self, master: str, seconds: float, memory: str) -> None:
        self.master, self.seconds, self.memory = master, seconds, memory
        self.do = "start workers, or ask for less: spark.executor.memory and .cores in spark-defaults.conf"


class MemoryTooSmall(SparkUnusable):
    """{setting} is {found} MiB, and Spark does not start with less than {needed}: raise it in spark-defaults.conf"""

    def __init__(self, setting: str, found: int, needed: int) -> None:
        self.setting, self.found, self.needed = setting, found, needed


class SparkNotStarted(SparkUnusable):
    """Spark does not start with {master}: {reason}"""

    def __init__(self, master: str, reason: str) -> None:
        self.master, self.reason = master, reason


class SparkFailed(SparkUnusable):
    """Spark failed: {reason}"""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class SparkLost(SparkUnusable):
    """Spark at {master} ended during the build: {reason} (nothing is published; the next refresh builds it)"""

    def __init__(self, master: str, reason: str) -> None:
        self.master, self.reason = master, reason


def explain(error: BaseException | str) -> str:
    """Put what Spark, Java or dbt says of an error into one line: its innermost cause, no stack, and what to set."""
    text = str(error)
    reason = _message(text)
    if TOO_BIG_TO_COLLECT in text:
        return f"{reason} (raise {TOO_BIG_TO_COLLECT})"
    if OUT_OF_MEMORY.search(text):
        setting = "spark.executor.memory" if AT_EXECUTOR.search(text) else "spark.driver.memory"
        return f"out of memory: {reason} (raise {setting} in spark-defaults.conf)"
    return reason


def _message(text: str) -> str:
    causes = [found["cause"] for found in CAUSE.finditer(text)]
    message = REST.split(causes[-1] if causes else text.strip(), maxsplit=1)[0]
    while message != (shorter := HEADINGS.sub("", message, count=1).strip()):
        message = shorter
    return " ".join(message.split()) or "it gives no reason"
