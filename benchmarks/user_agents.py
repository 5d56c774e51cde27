"""How well user agents are read, and how fast, against agents that others have labelled. Also `python -m` by itself.

10,000 agents of real visits (npm `user-agents`) carry the platform and the device that the browser's own scripts told,
and a weight; the cases of uap-core carry its families. Old phones, of which uap-core's are, are the hardest part.
"""

import argparse
import gzip
import json
import re
import statistics
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

from ingest_app.privacy.user_agent import Device, read_user_agent

DEFAULT_FOLDER = Path(__file__).parents[2] / "shared" / "data" / "ua_corpora"
# what `navigator.platform` says, and the systems that say so
LINUXES = frozenset({"Android", "Chrome OS", "Linux", "Ubuntu"})
SYSTEMS = {"Win32": {"Windows"}, "MacIntel": {"Mac OS X"}, "iPhone": {"iOS"}, "iPad": {"iOS"}}
# uap-core names models, not device types: those that call themselves a tablet, and the brands that made phones only
TABLET_FAMILY = re.compile(
    r"\b(?:Tab|Tablet|\w*Pad|Transformer|Xoom|Nexus (?:7|9|10)|PlayBook)\b|Kindle Fire|SM-T|GT-P"
)
PHONE_FAMILY = re.compile(r"iPhone|iPod|Generic (?:Smart|Feature )[Pp]hone")
PHONE_BRANDS = frozenset({"BlackBerry", "HTC", "Nokia", "Siemens", "SonyEricsson"})

Cases = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Score:
    """How many of `case_count` agents were read as they should. `share` is by weight where agents have one."""

    rule: str
    case_count: int
    share: float


def score_user_agents(folder: Path) -> dict[str, Score]:
    """Read every labelled agent of the corpora and say by rule how many were read right."""
    real = json.loads(gzip.decompress((folder / "user-agents" / "user-agents.json.gz").read_bytes()))
    devices, systems = _cases(folder, "test_device"), _cases(folder, "test_os")
    bots = [case for case in devices if case["brand"] == "Spider"]
    people = [case for case in devices if case["brand"] != "Spider"]
    tablets = [case for case in people if TABLET_FAMILY.search(case["family"])]
    phones = [case for case in people if _is_phone(case)]
    browsers = [case for case in people if "Mozilla" in case["user_agent_string"]]
    old_browsers = _cases(folder, "pgts_browser_list")
    firefoxes = _cases(folder, "firefox_user_agent_strings")
    scores = [
        _score("device type, real visits", real, _has_stated_device),
        _score("device type, real visits by weight", real, _has_stated_device, weight="weight"),
        _score("os, real visits", real, _has_stated_system),
        _score("os, real visits by weight", real, _has_stated_system, weight="weight"),
        _score("no bot, real visits", real, lambda case, read: not read.is_bot),
        _score("os, test_os", systems, lambda case, read: (read.os or "Other") == case["family"]),
        _score("bot, test_device", bots, lambda case, read: read.is_bot),
        _score("no bot, test_device in browsers", browsers, lambda case, read: not read.is_bot),
        _score("no bot, test_device", people, lambda case, read: not read.is_bot),
        _score("no bot, firefox", firefoxes, lambda case, read: not read.is_bot),
        _score("no bot, pgts", old_browsers, lambda case, read: not read.is_bot),
        _score("tablet, test_device", tablets, lambda case, read: read.device_type == "tablet"),
        _score("phone, test_device", phones, lambda case, read: read.device_type == "mobile"),
    ]
    return {score.rule: score for score in scores}


def measure_user_agents(folder: Path = DEFAULT_FOLDER) -> Table:
    """Return the scores and the times as a table."""
    table = Table(title="User agents read as they are labelled")
    for heading in ("", "agents", "right"):
        table.add_column(heading, justify="left" if not heading else "right")
    for score in score_user_agents(folder).values():
        table.add_row(score.rule, f"{score.case_count:,}", f"{score.share:.2%}")
    table.add_section()
    real = json.loads(gzip.decompress((folder / "user-agents" / "user-agents.json.gz").read_bytes()))
    agents = sorted({case["userAgent"] for case in real})
    # a tail of a kind of its own makes it an agent never seen before
    for rule, tail in (("a browser's agent, new", "{}"), ("one of 1,000 characters, new", "{:x>1000}")):
        times = _times_us(agent + tail.format(number) for number, agent in enumerate(agents))
        table.add_row(
            f"{rule}: median, worst", f"{len(agents):,}", f"{statistics.median(times):.0f}, {max(times):.0f} µs"
        )
    times = _times_us(agents[:1] * 10_000)
    table.add_row("an agent seen before: median", "10,000", f"{statistics.median(times):.2f} µs")
    return table


# many rules look at the same agents
_read = cache(read_user_agent)


def _score(rule: str, cases: Cases, is_right: Callable[[dict[str, Any], Device], bool], weight: str = "") -> Score:
    right = total = 0.0
    for case in cases:
        worth = case[weight] if weight else 1
        total += worth
        if is_right(case, _read(case.get("userAgent") or case["user_agent_string"])):
            right += worth
    return Score(rule, len(cases), right / total)


def _has_stated_device(case: dict[str, Any], read: Device) -> bool:
    return bool(read.device_type == case["deviceCategory"])


def _has_stated_system(case: dict[str, Any], read: Device) -> bool:
    return read.os in SYSTEMS.get(case["platform"], LINUXES)


def _is_phone(case: dict[str, Any]) -> bool:
    is_known = case["brand"] in PHONE_BRANDS or PHONE_FAMILY.match(case["family"])
    return bool(is_known) and not TABLET_FAMILY.search(case["family"])


def _cases(folder: Path, name: str) -> Cases:
    text = gzip.decompress((folder / "uap-core" / f"{name}.yaml.gz").read_bytes())
    # the C loader where it is: the safe Python one takes half a minute
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    cases: Cases = yaml.load(text, Loader=loader)["test_cases"]
    return cases


def _times_us(agents: Iterable[str]) -> list[float]:
    times = []
    for agent in agents:
        started = time.perf_counter()
        read_user_agent(agent)
        times.append((time.perf_counter() - started) * 1e6)
    return times


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.user_agents", description="Score the user agents read.")
    parser.add_argument("folder", type=Path, nargs="?", default=DEFAULT_FOLDER, help="corpora (default %(default)s)")
    Console().print(measure_user_agents(parser.parse_args().folder))


if __name__ == "__main__":
    main()
