"""The playbook as data: its sections, the shell commands of each, and the state in which a command means something."""

import re
from collections.abc import Iterator
from pathlib import Path

PLAYBOOK = Path(__file__).parents[3] / "docs" / "operations.md"
_SECTION = re.compile(r"^## (\w+)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
_BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)


def sections() -> dict[str, str]:
    """What stands below each heading; before the first one: how to begin."""
    text = PLAYBOOK.read_text()
    return {"": text.partition("\n## ")[0], **dict(_SECTION.findall(text))}


def commands() -> Iterator[tuple[str, str]]:
    """Each shell command once, with the section in which it stands first."""
    seen = set()
    for kind, text in sections().items():
        for line in (line for block in _BLOCK.findall(text) for line in block.splitlines()):
            if line not in seen:
                seen.add(line)
                yield kind, line
