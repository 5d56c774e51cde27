"""What a host runs where several make one footfall: each part once, and nothing that it would make up for itself."""

import threading
from pathlib import Path
from typing import get_args

import pytest

from footfall.errors import RoleNeedsSettings
from footfall.settings import Settings
from footfall.stack import Role, _children, running_stack


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(FOOTFALL_HOME=tmp_path, FOOTFALL_SECRET="a test's secret")


def test_roles_together_run_everything_once(settings: Settings) -> None:
    everything = [child.name for child in _children(settings, {}, None)]
    parts = [[child.name for child in _children(settings, {}, role)] for role in get_args(Role)]
    assert "ingest" in parts[0]
    assert sorted(name for part in parts for name in part) == sorted(everything)


@pytest.mark.parametrize("role", get_args(Role))
def test_role_needs_what_its_hosts_share(settings: Settings, role: Role) -> None:
    with (
        pytest.raises(RoleNeedsSettings, match="set DATABASE_URL, to the same value on each"),
        running_stack(settings, threading.Event(), role),
    ):
        pass
