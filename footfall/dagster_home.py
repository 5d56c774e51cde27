"""The home of the Dagster instance: its `dagster.yaml`, what its processes load, its schema in Postgres.

What Dagster runs is in `pipelines`; nothing here imports it.
"""

import hashlib
import os
import tempfile
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
# the system's limit of a socket's path, less some
LONGEST_SOCKET_PATH = 100


def dagster_environment(home: Path, database_url: str, archive_address: str | None = None) -> dict[str, str]:
    """Write dagster.yaml and workspace.yaml, make Dagster's schema, and return the variables its processes need.

    `database_url` is a libpq URL of the database that holds the events: Dagster keeps its runs there too, in a
    schema of its own. No file holds a password: they name a variable of the returned environment.
    Raises HomeNotWritable, DatabaseUnreachable, DagsterSchemaRefused.
    """
    folder = home.absolute() / "dagster"
    _make_schema(database_url)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _replace(folder / "dagster.yaml", yaml.safe_dump(_instance(folder), sort_keys=False))
        _replace(workspace_path(home), yaml.safe_dump(_workspace(home), sort_keys=False))
    except OSError as error:
        raise HomeNotWritable(home, str(error)) from error
    return {
        "FOOTFALL_HOME": str(home.absolute()),
        "DATABASE_URL": database_url,
        "FOOTFALL_ARCHIVE": archive_address or "",
        "DAGSTER_HOME": str(folder),
        DAGSTER_DATABASE_URL: storage_url(database_url),
    }


def workspace_path(home: Path) -> Path:
    """Return the file that names the code server to the web server and the daemon."""
    return home.absolute() / "dagster" / "workspace.yaml"


def code_socket(home: Path) -> Path:
    """Return the socket at which the one code server answers: in the home folder, unless its path is too long."""
    socket = home.absolute() / "dagster" / "code.sock"
    if len(os.fsencode(socket)) <= LONGEST_SOCKET_PATH:
        return socket
    return Path(tempfile.gettempdir()) / f"footfall-{hashlib.sha256(os.fsencode(socket)).hexdigest()[:16]}.sock"


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
        "storage": {
            "custom": {
                "module": "pipelines.storage",
                "class": "PooledPostgresStorage",
                "config": {"postgres_url": {"env": DAGSTER_DATABASE_URL}},
            }
        },
        "local_artifact_storage": _local("dagster._core.storage.root", "LocalArtifactStorage", folder / "storage"),
        "compute_logs": _local(
            "dagster._core.storage.local_compute_log_manager", "LocalComputeLogManager", folder / "logs"
        ),
        "run_coordinator": {
            "module": "dagster._core.run_coordinator",
            "class": "QueuedRunCoordinator",
            "config": {"dequeue_interval_seconds": 1},
        },
        "run_launcher": {"module": "pipelines.launcher", "class": "WatchingRunLauncher"},
        "scheduler": {
            "module": "dagster._core.scheduler",
            "class": "DagsterDaemonScheduler",
            # what was missed is caught up by one run; a tick that could not be evaluated is tried again, some times
            "config": {"max_catchup_runs": 1, "max_tick_retries": 3},
        },
        # one run at a time writes the warehouse file; runs without a step in its pool do not wait for it
        "concurrency": {"pools": {"default_limit": 1, "granularity": "run"}},
        # a run whose process is gone gives its place back, or it would block all later ones for ever
        "run_monitoring": {
            "enabled": True,
            "poll_interval_seconds": 15,
            "start_timeout_seconds": 90,
            "cancel_timeout_seconds": 60,
            "max_runtime_seconds": LONGEST_RUN_SECONDS,
        },
        # of daily jobs alone, which say so by tags: the others come again in five minutes
        "run_retries": {"enabled": True, "max_retries": 0, "retry_on_asset_or_op_failure": False},
        "retention": {
            "schedule": {"purge_after_days": KEEP_TICKS_DAYS},
            "sensor": {"purge_after_days": KEEP_TICKS_DAYS},
        },
        # Dagster keeps every event by itself; the children's logs need not repeat them
        "python_logs": {"python_log_level": "INFO"},
        # no asset has a condition: nothing to watch for, so no thread that does
        "auto_materialize": {"enabled": False, "use_sensors": False},
        # how old each asset may grow is said by its policy: `pipelines.freshness`
        "freshness": {"enabled": True},
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
    }


def _workspace(home: Path) -> Mapping[str, Any]:
    return {"load_from": [{"grpc_server": {"socket": str(code_socket(home)), "location_name": "footfall"}}]}


def _local(module: str, name: str, base: Path) -> Mapping[str, Any]:
    return {"module": module, "class": name, "config": {"base_dir": str(base)}}
