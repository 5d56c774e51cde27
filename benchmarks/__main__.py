"""`python -m benchmarks`: run all benchmarks on an embedded Postgres of their own. The measuring is next door."""

import argparse
import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks.load import DEFAULT_ROW_COUNT, measure_load
from footfall.postgres import embedded_postgres
from ingest_app.database import make_engine
from ingest_app.migrate import migrate


def main() -> None:
    """Print one table a benchmark."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure footfall on this machine.")
    parser.add_argument("--rows", type=int, default=DEFAULT_ROW_COUNT, help="events to load (default %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="runs of each (default %(default)s)")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder,
        embedded_postgres(Path(folder) / "postgres") as database_url,
    ):
        engine = make_engine(database_url)
        with engine.connect() as connection:
            migrate(connection)
        engine.dispose()
        Console().print(measure_load(database_url, Path(folder), arguments.rows, arguments.repetitions))


if __name__ == "__main__":
    main()
