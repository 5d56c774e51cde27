"""One definition a metric: docs/metrics.md and the models say the same of each, word for word, and leave none out."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text()
# under these names the seeds ask for them; the second seed numbers its reports
ASKED_FOR = (
    *("totalUsers", "activeUsersNow", "expiredUsers", "inactiveUsers"),
    *("activeSubscriptions", "expiredSubscriptions", "cancelledSubscriptions"),
    *("totalVisitors", "visitorsNow", "visitorsToday"),
    *("activityByDay", "monthlyLogins", "dailyActivity"),
    *("planDistribution", "plansPercentage", "usersStatusPercentage"),
    *("Report 1: event usage", "Report 2: document opens", "Report 3: live users"),
)


def columns_of_marts() -> dict[str, str]:
    """Table and column -> description, of all marts."""
    models = [
        model
        for path in sorted((ROOT / "transforms" / "models" / "marts").glob("*.yml"))
        for model in yaml.safe_load(path.read_text())["models"]
    ]
    return {
        f"{model['name']}.{column['name']}": column.get("description", "")
        for model in models
        for column in model["columns"]
    }


def is_metric(name: str, description: str) -> bool:
    """A column of a report is a metric unless it is of the key; in any mart a count or a percentage is one."""
    in_key = description.startswith("Key:")
    return (name.startswith("rpt_") and not in_key) or name.endswith(("_count", "_percent"))


METRICS = {name: description for name, description in columns_of_marts().items() if is_metric(name, description)}
DEFINED = re.findall(r"^`(\w+\.\w+)`\n((?:> .*\n)+)", PAGE, re.MULTILINE)
DEFINITIONS = {name: " ".join(line.removeprefix("> ") for line in quote.splitlines()) for name, quote in DEFINED}


def test_every_number_of_the_marts_is_defined() -> None:
    assert len(METRICS) > 40
    assert METRICS.keys() - DEFINITIONS.keys() == set(), "define it in its model's YAML, and quote that in metrics.md"


def test_every_definition_is_of_a_number_there_is() -> None:
    assert DEFINITIONS.keys() - METRICS.keys() == set()


def test_no_number_has_two_definitions() -> None:
    names = [name for name, _ in DEFINED]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("name", sorted(METRICS))
def test_page_defines_it_as_the_model_does(name: str) -> None:
    assert DEFINITIONS.get(name) == METRICS[name]


@pytest.mark.parametrize("name", ASKED_FOR)
def test_metric_of_the_seeds_has_its_section(name: str) -> None:
    section = re.search(rf"^### {re.escape(name)}\n(.+?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert section, f"metrics.md has no section ### {name}"
    assert "\n> " in section[1]
    assert "- The seed: " in section[1]
