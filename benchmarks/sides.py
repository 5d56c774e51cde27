"""One side of the load benchmark, alone in its process: `python sides.py SIDE URL FOLDER`; prints what it took.

It runs in two environments, footfall's and one of dlt, and imports from neither before it knows which.
"""

import json
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

TABLE = "tracking_events"


def prepare_footfall(url: str, folder: Path) -> Callable[[], int]:
    """Load every table, as a first refresh does; the others are all but empty."""
    from warehouse.load import load

    def run() -> int:
        loaded = load(url, folder / "warehouse.duckdb")
        return next(table.total_row_count for table in loaded if table.table_name == TABLE)

    return run


def prepare_dlt(backend: str, url: str, folder: Path) -> Callable[[], int]:
    """Load the one table with the settings that dlt's documentation gives for speed.

    Types reflected in full, so that none is guessed from the data; chunks of 100,000 rows; Arrow goes to Parquet as it
    is (no compression, no column added), and DuckDB reads the files. ConnectorX in streaming mode, with its binary
    protocol. There is nothing to parallelize: dlt does so between tables. `xid` is left out, a type neither side of
    dlt knows: dlt has a column less to do.
    """
    os.environ.update(
        {
            "RUNTIME__DLTHUB_TELEMETRY": "false",
            "RUNTIME__LOG_LEVEL": "ERROR",
            "DLT_DATA_DIR": str(folder),
            "DATA_WRITER__DISABLE_COMPRESSION": "true",
        }
    )
    import dlt  # type: ignore[import-not-found]
    from dlt.sources.sql_database import sql_table  # type: ignore[import-not-found]

    options = {"connectorx": {"conn": _without_query(url), "return_type": "arrow_stream"}}
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(folder / "dlt.duckdb")),
        dataset_name="raw",
    )

    def run() -> int:
        source = sql_table(
            credentials=url.replace("postgresql://", "postgresql+psycopg2://"),
            table=TABLE,
            backend=backend,
            backend_kwargs=options.get(backend),
            reflection_level="full",
            chunk_size=100_000,
            excluded_columns=["xid"],
        )
        pipeline.run(source, write_disposition="append", loader_file_format="parquet")
        with pipeline.sql_client() as client:
            return int(client.execute_sql(f"SELECT count(*) FROM {TABLE}")[0][0])

    return run


def _without_query(url: str) -> str:
    """Write a socket's folder where ConnectorX looks for it: in the place of the host."""
    parts = urlsplit(url)
    socket_folder = parse_qs(parts.query).get("host", [""])[0]
    if not socket_folder:
        return url
    return f"postgresql://{parts.username}@{quote(socket_folder, safe='')}{parts.path}"


def _peak_mb() -> float:
    # not getrusage: its peak also counts what the process was forked from
    [kilobytes] = re.findall(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(kilobytes) / 1024


def main() -> None:
    """Time the side, imports left out."""
    side, url, folder = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    run = prepare_footfall(url, folder) if side == "footfall" else prepare_dlt(side, url, folder)
    started = time.perf_counter()
    row_count = run()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_mb": _peak_mb(), "row_count": row_count}))


if __name__ == "__main__":
    main()
