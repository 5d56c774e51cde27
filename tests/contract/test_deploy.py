"""What stands in deploy/ and docs/deploy.md can be run: unit, image, compose file and proxy are linted, names exist."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, get_args

import crossplane
import pytest
import typer
import yaml

from footfall.cli import app as command_line
from footfall.stack import Role

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PAGE = (ROOT / "docs" / "deploy.md").read_text()
UNIT = DEPLOY / "footfall.service"
PROGRAMS = Path(sys.executable).parent
MOST_EXPOSED = 30
LONGEST_PAGE_LINES = 350


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit, for the place where the code is here."""
    if not shutil.which("systemd-analyze"):
        pytest.skip("systemd-analyze is not on this machine")
    path = tmp_path / UNIT.name
    path.write_text(
        UNIT.read_text().replace("/opt/footfall/.venv/bin", str(PROGRAMS)).replace("/opt/footfall", str(ROOT))
    )
    return path


def test_unit_is_one_that_systemd_takes(unit: Path) -> None:
    # what it does not know it only complains of
    assert _said("systemd-analyze", "verify", "--man=no", str(unit)) == ""


def test_unit_leaves_little_to_an_intruder(unit: Path) -> None:
    _said("systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(unit))


def test_image_is_built_as_hadolint_wants_it() -> None:
    assert _said(str(PROGRAMS / "hadolint"), str(ROOT / "Dockerfile")) == ""


def test_image_runs_as_a_user_without_rights() -> None:
    assert re.findall(r"^USER (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE) == ["10001"]


def test_image_gets_every_file_it_copies() -> None:
    copied = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    sources = {name for line in copied for name in line.split()}
    assert {name for name in sources if not (ROOT / name).exists()} == set()
    let_in = re.findall(r"^!(.+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sources == set(let_in)


def test_image_has_every_package_of_the_wheel() -> None:
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    let_in = (ROOT / ".dockerignore").read_text().splitlines()
    assert [name for name in wheel["packages"] if f"!{name}" not in let_in] == []


def test_compose_file_keeps_to_its_schema() -> None:
    schema = ("--builtin-schema", "vendor.compose-spec")
    assert _said(str(PROGRAMS / "check-jsonschema"), *schema, str(DEPLOY / "compose.yaml")) == ""


def test_compose_file_names_what_is_there() -> None:
    file = _compose()
    services: dict[str, Any] = file["services"]
    mounts = [volume.split(":")[0] for service in services.values() for volume in service["volumes"]]
    missing = [mount for mount in mounts if mount.startswith(".") and not (DEPLOY / mount).is_file()]
    assert missing == []
    assert {mount for mount in mounts if not mount.startswith(".")} == set(file["volumes"])
    asked = set(re.findall(r"\$\{(\w+):\?", (DEPLOY / "compose.yaml").read_text()))
    assert asked == set(re.findall(r"^(\w+)=$", (DEPLOY / "compose.env.example").read_text(), re.MULTILINE))


def test_only_the_proxy_is_published_and_only_here() -> None:
    services: dict[str, Any] = _compose()["services"]
    assert [name for name, service in services.items() if "ports" in service] == ["proxy"]
    assert [port for port in services["proxy"]["ports"] if not port.startswith("127.0.0.1:")] == []
    assert {services[name]["network_mode"] for name in ("ingest", "warehouse")} == {"service:proxy"}


def test_parts_of_the_compose_file_are_all_roles() -> None:
    commands = [service["command"] for service in _compose()["services"].values() if "command" in service]
    assert sorted(commands) == [["up", "--only", role] for role in sorted(get_args(Role))]


def test_proxy_is_one_that_nginx_takes(tmp_path: Path) -> None:
    site = (DEPLOY / "nginx" / "compose.conf").read_text().replace("/etc/nginx/footfall", str(DEPLOY / "nginx"))
    (tmp_path / "nginx.conf").write_text(f"events {{}}\nhttp {{\n{site}\n}}\n")
    parsed = crossplane.parse(str(tmp_path / "nginx.conf"), strict=True)
    assert parsed["errors"] == []
    blocks = [block for file in parsed["config"] for block in file["parsed"] if block["directive"] == "location"]
    refused = [block["args"][-1] for block in blocks if block["block"][0]["directive"] == "return"]
    assert refused == ["/metrics", "/readyz"]


def test_settings_of_the_example_are_ones() -> None:
    text = (ROOT / "docs" / "operators.md").read_text() + UNIT.read_text()
    names = re.findall(r"^#?([A-Z_]+)=", (DEPLOY / "footfall.env.example").read_text(), re.MULTILINE)
    assert [name for name in names if name not in text and name != "XDG_RUNTIME_DIR"] == []


def test_examples_name_who_is_told_and_where_ingest_is() -> None:
    service, compose = ((DEPLOY / f"{name}.env.example").read_text() for name in ("footfall", "compose"))
    several = PAGE.partition("## Several ingest hosts")[2].partition("## Upgrade")[0]
    rows = re.findall(r"^\| (`.+?) \|", several, re.MULTILINE)
    named = {name for row in rows for name in re.findall(r"`(\w+)`", row)} - {"FOOTFALL_ARCHIVE"}
    assert {"FOOTFALL_INGEST_URL", "FOOTFALL_ALERT_WEBHOOK"} <= named
    assert {name for name in named if f"{name}=" not in service} == set()
    # what stands in .env reaches the parts
    assert "FOOTFALL_ALERT_WEBHOOK=" in compose
    assert {tuple(_compose()["services"][name]["env_file"]) for name in ("ingest", "warehouse")} == {(".env",)}


def test_page_names_files_that_exist() -> None:
    named = set(re.findall(r"\b(deploy/[\w./-]*\w|[A-Z]+\.md)\b", PAGE))
    made_by_the_operator = {"deploy/.env"}
    assert {"deploy/footfall.service", "deploy/backup.sh", *made_by_the_operator} <= named
    assert {name for name in named - made_by_the_operator if not (ROOT / name).exists()} == set()


def test_page_names_commands_that_exist() -> None:
    known = getattr(typer.main.get_command(command_line), "commands")  # noqa: B009
    named = set(re.findall(r"(?:`|^|warehouse )footfall ([a-z]+)", PAGE, re.MULTILINE))
    assert {"up", "migrate", "doctor", "refresh", "archive"} <= named
    assert named <= set(known)


def test_page_is_short_enough_to_read() -> None:
    assert len(PAGE.splitlines()) < LONGEST_PAGE_LINES


def _compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr
