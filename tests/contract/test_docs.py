"""Docs cannot drift: every command, setting, endpoint, field, table and column is in them, and no file is too long."""

import re
import subprocess
from pathlib import Path

import pytest
import typer
import yaml
from prometheus_client import generate_latest

from footfall.cli import app as command_line
from footfall.settings import Settings
from footfall.watch.metrics import WatchMetrics
from footfall.watch.settings import WatchSettings
from ingest_app.admin_settings import RULES
from ingest_app.app import create_app
from ingest_app.kinds import KINDS
from ingest_app.metrics import DrainMetrics
from ingest_app.rewards import errors as rewards
from ingest_app.rewards.errors import LedgerUnavailable, MoveRefused, NotEnough
from ingest_app.rewards.moves import MOVES
from ingest_app.settings import IngestSettings
from warehouse.retention import RULES as RETENTION_RULES
from warehouse.retention import told

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
LONGEST_FILE_LINES = 350


def test_every_command_is_documented() -> None:
    text = (DOCS / "operators.md").read_text()
    assert [name for name in _commands(typer.main.get_command(command_line)) if f"`footfall {name}`" not in text] == []


def test_every_setting_is_documented() -> None:
    text = (DOCS / "operators.md").read_text()
    names = [str(field.validation_alias) for field in Settings.model_fields.values()]
    names += [str(field.validation_alias) for field in WatchSettings.model_fields.values()]
    names += [name.upper() for name in IngestSettings.model_fields]
    assert names
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_admin_setting_is_documented_with_its_rule() -> None:
    lines = (DOCS / "operators.md").read_text().splitlines()
    head = lines.index("| key | values | at first | meaning |")
    rows = [f"| `{key}` | {rule.allowed} | {rule.default} | {rule.meaning} |" for key, rule in RULES.items()]
    assert lines[head + 2 : lines.index("", head)] == rows


def test_every_metric_is_documented_with_its_type() -> None:
    lines = (DOCS / "operators.md").read_text().splitlines()
    head = lines.index("| metric | type | labels | meaning |")
    rows = {
        tuple(cell.strip(" `") for cell in line.split("|")[1:3]) for line in lines[head + 2 : lines.index("", head)]
    }
    app = create_app(IngestSettings(database_url="postgresql://127.0.0.1/none", footfall_secret="x"))
    drainers, watchers = DrainMetrics().registry, WatchMetrics().registry
    assert drainers
    assert watchers
    shown = app.test_client().get("/metrics").text + (generate_latest(drainers) + generate_latest(watchers)).decode()
    found = {tuple(line.split()[2:4]) for line in shown.splitlines() if line.startswith("# TYPE ")}
    # the library's own, which are not there where processes count together
    assert rows == {(name, kind) for name, kind in found if not name.endswith("_created")}


def test_every_endpoint_is_documented() -> None:
    text = (DOCS / "apps.md").read_text()
    app = create_app(IngestSettings(database_url="postgresql://127.0.0.1/none", footfall_secret="x"))
    rules = {rule.rule.replace("<key>", "{id}").replace("<user_id>", "{user_id}") for rule in app.url_map.iter_rules()}
    assert len(rules) > 10
    assert [rule for rule in sorted(rules) if rule not in text] == []


@pytest.mark.parametrize("kind", [*KINDS.values(), *MOVES.values()], ids=lambda kind: kind.name)
def test_every_field_of_a_record_is_documented(kind: object) -> None:
    lines = (DOCS / "apps.md").read_text().splitlines()
    name = getattr(kind, "name", "")
    row = next(line for line in lines if f"/api/{name}` |" in line)
    common = {"event_id", "created_at", "sent_at"} if name in {"activity", "events", "documents"} else set()
    fields = set(getattr(kind, "record").__struct_fields__) - common  # noqa: B009
    assert {field for field in fields if f"`{field}`" not in row and f"`{field}?`" not in row} == set()


def test_every_refusal_of_a_move_is_documented() -> None:
    text = (DOCS / "apps.md").read_text()
    codes = [error.code for error in vars(rewards).values() if getattr(error, "__module__", "") == rewards.__name__]
    assert len(codes) > 10
    unstated = {MoveRefused.code, NotEnough.code, LedgerUnavailable.code}
    assert [code for code in codes if code not in unstated and f"`{code}`" not in text] == []


def test_every_published_column_is_documented() -> None:
    text = (DOCS / "analysts.md").read_text()
    models = [
        model
        for path in sorted((ROOT / "transforms" / "models" / "marts").glob("*.yml"))
        for model in yaml.safe_load(path.read_text())["models"]
    ]
    assert len(models) >= 7
    for model in models:
        schema = model["config"].get("schema", "marts")
        row = next(line for line in text.splitlines() if line.startswith(f"| `{schema}.{model['name']}`"))
        assert [column["name"] for column in model["columns"] if f"`{column['name']}`" not in row] == []


def test_every_schedule_is_documented() -> None:
    from pipelines.jobs import SCHEDULES

    text = (DOCS / "operators.md").read_text()
    assert [schedule.job_name for schedule in SCHEDULES if f"| `{schedule.job_name}` |" not in text] == []


def test_every_rule_of_retention_is_documented_with_its_reason() -> None:
    lines = (DOCS / "retention.md").read_text().splitlines()
    head = lines.index("| rule | what | kept for | removed by | why so long |")
    rows = [f"| `{rule.name}` | {rule.what} | {told(rule)} | {rule.remover} | {rule.why} |" for rule in RETENTION_RULES]
    assert lines[head + 2 : lines.index("", head)] == rows


def test_links_of_the_docs_lead_somewhere() -> None:
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    links = [(page, link) for page in pages for link in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())]
    assert links
    assert [(page.name, link) for page, link in links if not (page.parent / link).exists()] == []


def test_no_file_is_too_long_to_read() -> None:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not names:
        pytest.skip("not a git checkout: there is no list of the project's own files")
    code = [ROOT / name for name in names if name.endswith((".py", ".sql", ".html", ".js", ".css"))]
    lengths = {str(path): len(path.read_text().splitlines()) for path in code if path.exists()}
    assert {path: lines for path, lines in lengths.items() if lines > LONGEST_FILE_LINES} == {}


def _commands(command: object, prefix: str = "") -> list[str]:
    children = getattr(command, "commands", None)
    if not children:
        return [prefix]
    return [found for name, child in children.items() for found in _commands(child, f"{prefix} {name}".strip())]
