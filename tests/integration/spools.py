"""Spools for tests: rows as the app writes them, spools with something in them, and workers that can be killed."""

import subprocess
import sys
import uuid
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from ingest_app.spool import Spool
from ingest_app.spool.files import Part, unpack
from ingest_app.spool.reader import SpoolReader

ROOT = Path(__file__).parents[2]
EVERYTHING = 2**40


def an_event(**changed: object) -> dict[str, Any]:
    """Make a row of `tracking_events` as the app puts it into the spool."""
    return {
        "event_id": str(uuid.uuid4()),
        "user_type": "guest",
        "app_name": "DViz",
        "event_type": "button",
        "event_name": "press",
        "created_at": datetime.now(UTC).isoformat(),
        "created_at_adjusted": False,
        "is_bot": False,
        **changed,
    }


def a_part(*rows: object, kind: str = "events") -> Part:
    return Part(kind, len(rows), msgspec.json.encode(rows))


def a_spool(folder: Path, *parts: Part) -> Path:
    """Leave a spool behind with an entry for each part; returns its file."""
    before = set(folder.glob("*.spool"))
    with closing(Spool(folder, 0)) as spool:
        for part in parts:
            spool.append(part)
    [made] = set(folder.glob("*.spool")) - before
    return made


def read_parts(path: Path) -> list[Part]:
    with closing(SpoolReader(path)) as reader:
        return [part for entry in reader.read_after(0, EVERYTHING, EVERYTHING) for part in unpack(entry.body)]


def entry_sizes(path: Path) -> list[int]:
    """Return the number of records of each entry."""
    with closing(SpoolReader(path)) as reader:
        ends = [0, *(entry.seq for entry in reader.read_after(0, EVERYTHING, EVERYTHING))]
    return [end - start for start, end in pairwise(ends)]


def run_python(script: str, *arguments: object, before: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start a script in a process of its own, which may be killed; it prints what it has done, a line each."""
    command = [*before, sys.executable, "-u", "-c", script, *map(str, arguments)]
    return subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
