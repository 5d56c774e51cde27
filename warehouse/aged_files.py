"""Files of the home folder that are too old: found and removed; and logs, set aside. The rules are in `retention`.

Nothing here touches the archive, the spools, or what a server has open as its own.
"""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from glob import glob
from pathlib import Path

from warehouse.aged_rows import Counts
from warehouse.retention import Aged, due

LOGS = ("logs/*.log", "postgres/log")
# a spool's name begins with the time of its making: SQLite's files do not change with each record
_SPOOL_MADE_AT = re.compile(r"^(\d{8}T\d{6})-")
# DuckDB's log beside its file: where that has changed, so has the file
_COMPANION = ".wal"


@dataclass(frozen=True, slots=True)
class AgedFiles:
    """Files and folders that these patterns find in the home folder, each with all that is in it."""

    patterns: tuple[str, ...]

    def oldest(self, home: Path) -> datetime | None:
        """Return when the one that was left alone longest last changed."""
        return min((thing.changed_at for thing in self.found(home)), default=None)

    def remove(self, home: Path, before: datetime, *, dry_run: bool = True) -> Counts:
        """Remove what last changed before that moment, or only count it. Raises OSError."""
        things = due(self.found(home), before)
        for thing in [] if dry_run else things:
            _remove(thing.path)
        return Counts(len(things), 0 if dry_run else len(things))

    def found(self, home: Path) -> Iterator[Aged]:
        """Look at what there is."""
        for pattern in self.patterns:
            # unlike Path.glob it goes on where a folder is gone again
            for name in glob(pattern, root_dir=home, recursive=True, include_hidden=True):
                # it may be gone again, or be a link to nowhere
                with suppress(FileNotFoundError):
                    yield Aged(home / name, _changed_at(home / name))


@dataclass(frozen=True, slots=True)
class AgedLogs(AgedFiles):
    """Logs that were set aside; who removes the old ones sets the others aside."""

    def remove(self, home: Path, before: datetime, *, dry_run: bool = True) -> Counts:
        """Remove as other files, then set aside what has been written since. Raises OSError."""
        # not super(), which a class with slots does not find
        counts = AgedFiles.remove(self, home, before, dry_run=dry_run)
        if not dry_run:
            set_logs_aside(home, datetime.now(UTC))
        return counts


AGED_FILES = {
    "unfinished_files": AgedFiles(
        ("warehouse/*.new", "warehouse/*.new.wal", "warehouse/*.tmp/*", "archive-staging/**/*.*")
    ),
    "restored": AgedFiles(("warehouse/restored.duckdb",)),
    "dagster_files": AgedFiles(("dagster/logs/*", "dagster/storage/storage/*")),
    "dbt_parsed": AgedFiles(("dbt/parsed/*",)),
    "logs": AgedLogs(("logs/*.log.*",)),
}
"""Rule to its files."""


def oldest_spool(home: Path, *suffixes: str) -> datetime | None:
    """Return when the oldest spool with one of these suffixes was made, None where nothing waits."""
    folder = home / "spool"
    return min((_made_at(path) for suffix in suffixes for path in folder.glob(f"*{suffix}")), default=None)


def set_logs_aside(home: Path, now: datetime) -> None:
    """Copy each log that has lines to `logs/NAME.log.TIME` and empty it, so that no line outlives the rule for long.

    Who writes to a log has it open to append, so its next line is the first of the emptied file. A line that comes in
    the moment between the copy's end and the emptying is lost: Postgres and the programs know no other way without
    opening their logs anew. Raises OSError, which names those that cannot be set aside, when the others are.
    """
    faults = []
    for path in [path for pattern in LOGS for path in sorted(home.glob(pattern))]:
        name = path.name if path.suffix else f"{path.parent.name}.log"
        try:
            if path.stat().st_size:
                _set_aside(path, home / "logs" / f"{name}.{now.astimezone(UTC):%Y%m%dT%H%M%S}")
        except OSError as error:
            faults.append(f"{path} cannot be set aside: {error}")
    if faults:
        raise OSError("; ".join(faults))


def _set_aside(path: Path, aside: Path) -> None:
    # under a name of its own until it is whole: who is killed before the log is emptied leaves all of it in the log
    unfinished = aside.with_name(f"{aside.name}.unfinished")
    unfinished.parent.mkdir(exist_ok=True)
    try:
        with path.open("rb+") as log, unfinished.open("wb") as copy:
            shutil.copyfileobj(log, copy)
            copy.flush()
            os.replace(unfinished, aside)
            # what came meanwhile
            shutil.copyfileobj(log, copy)
            copy.flush()
            log.truncate(0)
    finally:
        # a disk that is full needs the room
        unfinished.unlink(missing_ok=True)


def _changed_at(path: Path) -> datetime:
    """Return when a file last changed, or when a folder last got or lost something, or was said to be in use."""
    times = [path.lstat().st_mtime]
    with suppress(FileNotFoundError):
        times.append(Path(f"{path}{_COMPANION}").lstat().st_mtime)
    return datetime.fromtimestamp(max(times), UTC)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
        return
    for one in (path, Path(f"{path}{_COMPANION}")):
        one.unlink(missing_ok=True)


def _made_at(path: Path) -> datetime:
    if found := _SPOOL_MADE_AT.match(path.name):
        return datetime.strptime(found[1], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
    return datetime.fromtimestamp(path.stat().st_mtime, UTC)
