"""Reads how fresh the published file is, in a process of its own: `python -m footfall.watch.published FILE`.

DuckDB takes 50 MB once it has opened a file, and does not give them back: the watcher, which is there all day, asks a
process that is there for a moment, and only where there is a new file.
"""

import json
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from footfall.watch.look import Published, Unknown

READ_SECONDS = 20.0
FRESHNESS = "SELECT refreshed_at, loaded_at FROM meta.refresh"
# a file of an older footfall has no such table
HAS_CANARY = "SELECT count(*) FROM duckdb_tables() WHERE schema_name = 'meta' AND table_name = 'canary'"
LAST_CANARY = "SELECT max(created_at) FROM meta.canary"


class PublishedReader:
    """Remembers what it read until there is another file."""

    def __init__(self, path: Path) -> None:
        """Read the file at `path`."""
        self._path = path
        self._read: tuple[tuple[int, int], Published] | None = None

    def read(self) -> Published | Unknown:
        """Return how fresh the file is."""
        try:
            stat = self._path.stat()
        except OSError:
            return Unknown("nothing is published yet")
        version = (stat.st_ino, stat.st_mtime_ns)
        if self._read is None or self._read[0] != version:
            found = _ask(self._path)
            if isinstance(found, Unknown):
                return found
            self._read = (version, found)
        return self._read[1]


def _ask(path: Path) -> Published | Unknown:
    command = (sys.executable, "-m", __name__, str(path))
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=READ_SECONDS, check=True)
        times = [datetime.fromisoformat(one) if one else None for one in json.loads(done.stdout)]
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        return Unknown(f"the published file cannot be read: {type(error).__name__}")
    refreshed_at, loaded_at, canary_at = times
    if refreshed_at is None or loaded_at is None:
        return Unknown("the published file does not say how fresh it is")
    return Published(refreshed_at, loaded_at, canary_at)


def main(path: str) -> None:
    """Print the three times as JSON."""
    import duckdb

    with duckdb.connect(path, read_only=True, config={"threads": 1}) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        found = [*(connection.execute(FRESHNESS).fetchone() or (None, None)), None]
        if connection.execute(HAS_CANARY).fetchall() == [(1,)]:
            [(found[2],)] = connection.execute(LAST_CANARY).fetchall()
    sys.stdout.write(json.dumps([one and one.isoformat() for one in found]))


if __name__ == "__main__":
    main(sys.argv[1])
