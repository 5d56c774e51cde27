"""What dbt's own connection needs to read sealed days: dbt-duckdb loads this by its name in `transforms/profiles.yml`.

No model and no path of a file is known here. The module's one class has the name that dbt-duckdb looks for.
"""

from pathlib import Path
from typing import Any

from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb import DuckDBPyConnection

from warehouse.archive.store import Archive, open_archive


class Plugin(BasePlugin):
    """Attaches the archive to each connection that dbt opens; `home` and `archive` are the profile's."""

    _archive: Archive

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        """Read where the archive is."""
        warehouse_path = Path(plugin_config["home"]) / "warehouse" / "warehouse.duckdb"
        self._archive = open_archive(plugin_config["archive"], warehouse_path)

    def configure_connection(self, conn: DuckDBPyConnection) -> None:
        """Attach it."""
        self._archive.attach(conn)
