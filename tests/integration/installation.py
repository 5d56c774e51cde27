"""A footfall as its operator has it: a home folder, a database, commands in processes of their own. No data here."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb


@dataclass(frozen=True)
class Installation:
    """A home folder and a database of footfall, with commands to call."""

    home: Path
    database_url: str

    @property
    def warehouse_path(self) -> Path:
        """Where raw tables and models are."""
        return self.home / "warehouse" / "warehouse.duckdb"

    def run(self, *arguments: str) -> str:
        """Run a command in a process of its own and return what it printed."""
        env = {**os.environ, "FOOTFALL_HOME": str(self.home), "DATABASE_URL": self.database_url, "COLUMNS": "200"}
        command = [str(Path(sys.executable).with_name("footfall")), *arguments]
        done = subprocess.run(command, env=env, cwd=self.home, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def warehouse(self, sql: str) -> list[tuple[Any, ...]]:
        """Query the warehouse, staging included."""
        return _query(self.warehouse_path, sql)

    def published(self, sql: str) -> list[tuple[Any, ...]]:
        """Query what analysts open."""
        return _query(self.warehouse_path.with_name("analytics.duckdb"), sql)


def _query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(path, read_only=True) as connection:
        return connection.execute("SET TimeZone = 'UTC'").execute(sql).fetchall()
