"""The home of the Dagster instance: its `dagster.yaml`, its schema in Postgres, and the environment of its children.

What Dagster runs is in `pipelines`; nothing here imports it.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from footfall.errors import DagsterSchemaRefused, HomeNotWritable
from ingest_app.database import connect, make_engine

SCHEMA = "dagster"
DAGSTER_DATABASE_URL = "FOOTFALL_DAGSTER_DATABASE_URL"
KEEP_TICKS_DAYS = 14
LONGEST_RUN_SECONDS = 60 * 60


def dagster_environment(home: Path, database_url: str, archive_address: str | None = None) -> dict[str, str]:
    """Write `home`/dagster/dagster.yaml, make Dagster's schema, and return the variables its processes need.

    `database_url` is a libpq URL of the database that holds the events: Dagster keeps its runs there too, in a
    schema of its own. The file holds no password: it names a variable of the returned environment.
    Raises HomeNotWritable, DatabaseUnreachable, DagsterSchemaRefused.
    """
    folder = home.absolute() / "dagster"
    _make_schema(database_url)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / "dagster.yaml", yaml.safe_dump(_instance(folder), sort_keys=False))
    except OSError as error:
        raise HomeNotWritable(home, str(error)) from error
    return {
        "FOOTFALL_HOME": str(home.absolute()),
        "DATABASE_URL": database_url,
        "FOOTFALL_ARCHIVE": archive_address or "",
        "DAGSTER_HOME": str(folder),
        DAGSTER_DATABASE_URL: storage_url(database_url),
    }


def storage_url(database_url: str) -> str:
    """Return the URL by which Dagster reaches its own schema, and only that, with the driver it was written for."""
    url = make_url(database_url).set(drivername="postgresql+psycopg2")
    given = url.query.get("options", "")
    options = " ".join([*([given] if isinstance(given, str) else given), f"-csearch_path={SCHEMA}"])
    return url.update_query_dict({"options": options.strip()}).render_as_string(hide_password=False)


def _make_schema(database_url: str) -> None:
    engine = make_engine(database_url, pool_size=1)
    try:
        with connect(engine) as connection, connection.begin():
            # IF NOT EXISTS alone asks for the right to make schemas even where the schema is there
            if not connection.scalar(text("SELECT to_regnamespace(:name) IS NOT NULL"), {"name": SCHEMA}):
                connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    except DBAPIError as error:
        user = engine.url.username or "its user"
        remedy = f'CREATE SCHEMA {SCHEMA} AUTHORIZATION "{user}"'
        raise DagsterSchemaRefused(SCHEMA, " ".join(str(error.orig).split()), remedy) from error
    finally:
        engine.dispose()


def _replace(path: Path, content: str) -> None:
    """Write the file in one step and only where it changes: a running daemon or refresh may read it at any time."""
    if path.is_file() and path.read_text() == content:
        return
    made = path.with_name(f".{path.name}.{os.getpid()}")
    made.write_text(content)
    os.replace(made, path)


def _instance(folder: Path) -> Mapping[str, Any]:
    return {
        "storage": {"postgres": {"postgres_url": {"env": DAGSTER_DATABASE_URL}}},
        "local_artifact_storage": _local("dagster._core.storage.root", "LocalArtifactStorage", folder / "storage"),
        "compute_logs": _local(
            "dagster._core.storage.local_compute_log_manager", "LocalComputeLogManager", folder / "logs"
        ),
        "run_coordinator": {
            "module": "dagster._core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"dequeue_interval_seconds": 1},
        },
        # one run at a time writes the warehouse file; runs without a step in its pool do not wait for it
        "concurrency": {"pools": {"default_limit": 1, "granularity": "run"}},
        # a run whose process is gone gives its place back, or it would block all later ones for ever
        "run_monitoring": {
            "enabled": True,
            "poll_interval_seconds": 30,
            "start_timeout_seconds": 180,
            "max_runtime_seconds": LONGEST_RUN_SECONDS,
            "free_slots_after_run_end_seconds": 60,
        },
        "retention": {
            "schedule": {"purge_after_days": KEEP_TICKS_DAYS},
            "sensor": {"purge_after_days": KEEP_TICKS_DAYS},
        },
        # Dagster keeps every event by itself; the children's logs need not repeat them
        "python_logs": {"python_log_level": "INFO"},
        # no asset has a condition or a freshness policy: nothing to watch for, so no thread that does
        "auto_materialize": {"enabled": False, "use_sensors": False},
        "freshness": {"enabled": False},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }


def _local(module: str, name: str, base: Path) -> Mapping[str, Any]:
    return {"module": module, "class": name, "config": {"base_dir": str(base)}}
