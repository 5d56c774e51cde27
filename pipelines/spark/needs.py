"""What Spark needs before it is worth starting: its packages, Java, and a master that answers. No Spark runs here."""

import re
import socket
import subprocess
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from shutil import which

from pipelines.spark.errors import ExtraMissing, JavaMissing, JavaTooOld, MasterAway, MasterMalformed

OLDEST_JAVA = 17
JAVA_SECONDS = 30
# a master that runs accepts at once; Spark itself would try for a minute
PROBE_SECONDS = 5
# the Java that Spark's own scripts would start
JAVA = """
SPARK_HOME="${SPARK_HOME:-$0}"
. "$SPARK_HOME/bin/load-spark-env.sh"
"${JAVA_HOME:+$JAVA_HOME/bin/}java" -version
"""
SHELL = re.compile(r"^.*: line \d+: ")
VERSION = re.compile(r'version "(?:1\.)?(?P<major>\d+)')
LOCAL = re.compile(r"local(\[(\*|[1-9]\d*)(\s*,\s*[1-9]\d*)?\])?")
STANDALONE = re.compile(r"spark://(?P<addresses>.+)")
ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:/?#@\[\],]+):(?P<port>\d{1,5})")
OTHER = re.compile(r"yarn|k8s://\S+")


def check_needs(master: str) -> None:
    """Raise ExtraMissing, JavaMissing, JavaTooOld, MasterMalformed or MasterAway."""
    addresses = master_addresses(master)
    _check_packages()
    _check_java()
    if addresses:
        _check_answers(master, addresses)


def is_local(master: str) -> bool:
    """Tell whether all of Spark runs in this machine's one process."""
    return LOCAL.fullmatch(master) is not None


def is_on_loopback(master: str) -> bool:
    """Tell whether nothing of Spark is on another machine, so that its driver need not be seen from one."""
    return is_local(master) or (
        bool(addresses := master_addresses(master)) and all(_is_loopback(host) for host, _ in addresses)
    )


def master_addresses(master: str) -> list[tuple[str, int]]:
    """Return where masters of Spark's own kind are, of another kind none. Raises MasterMalformed."""
    if LOCAL.fullmatch(master) or OTHER.fullmatch(master):
        return []
    standalone = STANDALONE.fullmatch(master)
    found = [ADDRESS.fullmatch(address) for address in standalone["addresses"].split(",")] if standalone else []
    addresses = [(address["host"].strip("[]"), int(address["port"])) for address in found if address]
    if not found or len(addresses) < len(found) or not all(0 < port < 2**16 for _, port in addresses):
        raise MasterMalformed(master)
    return addresses


def _check_packages() -> None:
    for package, module in (("pyspark", "pyspark"), ("dbt-spark", "dbt.adapters.spark")):
        if find_spec(module) is None:
            raise ExtraMissing(package)


def _check_java() -> None:
    found = find_spec("pyspark")
    home = str(Path(found.origin or "").parent) if found else ""
    try:
        answer = subprocess.run(
            [which("bash") or "bash", "-c", JAVA, home],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=JAVA_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise JavaMissing(OLDEST_JAVA, str(error)) from error
    version = VERSION.search(answer.stdout)
    if answer.returncode or version is None:
        last = answer.stdout.strip().splitlines()[-1:] or [f"it ended with {answer.returncode}"]
        raise JavaMissing(OLDEST_JAVA, SHELL.sub("", last[0]))
    if (major := int(version["major"])) < OLDEST_JAVA:
        raise JavaTooOld(OLDEST_JAVA, major)


def _check_answers(master: str, addresses: list[tuple[str, int]]) -> None:
    reasons = []
    for address in addresses:
        try:
            socket.create_connection(address, timeout=PROBE_SECONDS).close()
        except OSError as error:
            reasons.append(error.strerror or str(error))
        else:
            return
    raise MasterAway(master, "; ".join(dict.fromkeys(reasons)))


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
