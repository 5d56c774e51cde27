"""Whoever is told that a check failed reads its description: it says what that means, where to look and what to do."""

import re

import pytest
import yaml

from tests.sql.conftest import TRANSFORMS

CHECKS = {
    check["name"]: " ".join(check["description"].split())
    for check in yaml.safe_load((TRANSFORMS / "tests" / "_tests.yml").read_text())["data_tests"]
}
SOURCES = {
    table["name"]
    for source in yaml.safe_load((TRANSFORMS / "models" / "staging" / "_sources.yml").read_text())["sources"]
    for table in source["tables"]
}
SCHEMA_OF_MODEL = {path.stem: path.parent.name for path in (TRANSFORMS / "models").rglob("*.sql")}
META = {"meta.load_cursors", "sources.received_days"}
TABLES = (
    {f"{schema}.{name}" for name, schema in SCHEMA_OF_MODEL.items()}
    | {f"sources.{name}" for name in SOURCES}
    | (SCHEMA_OF_MODEL.keys() | SOURCES | META)
)
SCHEMAS = ("sources", "staging", "intermediate", "marts", "meta")


def faults(description: str) -> list[str]:
    """Name what a description lacks."""
    rule, says_when, advice = description.partition(" If ")
    quoted = re.findall(r"`([^`]+)`", advice)
    unknown = [name for name in quoted if name.partition(".")[0] in SCHEMAS and name not in TABLES]
    return [
        *(["says no rule"] if not rule.endswith(".") else []),
        *(["says nothing of when it fails ('If not, …')"] if not says_when else []),
        *(["names no table to look at"] if not TABLES & set(quoted) else []),
        *(["says neither what to compare nor which command to run"] if not is_told_what_to_do(advice, quoted) else []),
        *(f"names {name}, which is not there" for name in unknown),
    ]


def is_told_what_to_do(advice: str, quoted: list[str]) -> bool:
    return bool(re.search(r"\bcompare\b", advice)) or any(name.startswith("footfall ") for name in quoted)


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_check_says_where_to_look(name: str) -> None:
    assert faults(CHECKS[name]) == []


def test_every_check_is_described() -> None:
    assert CHECKS.keys() == {path.stem for path in (TRANSFORMS / "tests").glob("*.sql")}


@pytest.mark.parametrize(
    ("description", "fault"),
    [
        ("All is counted.", "says nothing of when it fails ('If not, …')"),
        ("All is counted. If not, compare the two.", "names no table to look at"),
        (
            "All is counted. If not, `rpt_totals` is wrong.",
            "says neither what to compare nor which command to run",
        ),
        ("All is counted. If not, compare `marts.rpt_all`.", "names marts.rpt_all, which is not there"),
    ],
)
def test_lack_of_advice_is_seen(description: str, fault: str) -> None:
    assert fault in faults(description)
