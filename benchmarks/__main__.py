"""`python -m benchmarks [NAME…]`: run benchmarks on an embedded Postgres of their own. The measuring is next door."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console, RenderableType

from benchmarks.admin import DEFAULT_EVENT_COUNT as ADMIN_EVENT_COUNT
from benchmarks.admin import measure_admin
from benchmarks.bucket import measure_bucket
from benchmarks.engines import DEFAULT_ROW_COUNT as ENGINES_ROW_COUNT
from benchmarks.engines import measure_engines
from benchmarks.erase import DEFAULT_ROW_COUNT as ERASE_ROW_COUNT
from benchmarks.erase import measure_erase
from benchmarks.expire import DEFAULT_DAYS, DEFAULT_ROWS_A_DAY, measure_expire
from benchmarks.footprint import DEFAULT_MINUTES, measure_footprint
from benchmarks.growth import DEFAULT_DAY as GROWTH_DAY
from benchmarks.growth import DEFAULT_EVENT_COUNT as GROWTH_EVENTS
from benchmarks.growth import measure_growth, read_page, show_growth
from benchmarks.ingest import measure_batches, measure_singles
from benchmarks.ledger import measure_ledger
from benchmarks.load import DEFAULT_ROW_COUNT, MEMORY_ROW_COUNT, measure_load, measure_memory
from benchmarks.refresh import measure_refresh
from benchmarks.seal import DEFAULT_EVENT_COUNT, measure_seal
from benchmarks.stats import DEFAULT_ROW_COUNT as STATS_ROW_COUNT
from benchmarks.stats import measure_stats
from benchmarks.user_agents import DEFAULT_FOLDER, measure_user_agents
from footfall.postgres import embedded_postgres
from ingest_app.database import make_engine
from ingest_app.migrate import migrate


def main() -> None:
    """Print one table a benchmark."""
    arguments = _arguments()
    with (
        tempfile.TemporaryDirectory(prefix="footfall-bench-") as folder,
        embedded_postgres(Path(folder) / "postgres") as database_url,
    ):
        engine = make_engine(database_url)
        with engine.connect() as connection:
            migrate(connection)
        engine.dispose()
        for name, measure in _benchmarks(arguments, database_url, Path(folder)).items():
            if name in arguments.names or not arguments.names:
                Console().print(measure())


def _benchmarks(given: argparse.Namespace, url: str, folder: Path) -> dict[str, Callable[[], RenderableType]]:
    # the agents that are read stand in files that not every machine has
    agents = {"agents": measure_user_agents} if DEFAULT_FOLDER.is_dir() else {}
    return {
        "singles": lambda: measure_singles(url, folder, given.repetitions, given.seconds),
        "batches": lambda: measure_batches(url, folder, given.pace, given.minutes * 60),
        "ledger": lambda: measure_ledger(url, folder, given.repetitions, given.seconds),
        "load": lambda: measure_load(url, given.rows, given.repetitions),
        "refresh": lambda: measure_refresh(url, folder, given.repetitions),
        "bucket": lambda: measure_bucket(url, folder),
        "seal": lambda: measure_seal(url, folder, given.events),
        "erase": lambda: measure_erase(url, folder, given.erase_rows),
        "expire": lambda: measure_expire(url, folder, given.days, given.rows_a_day),
        "stats": lambda: measure_stats(url, folder, STATS_ROW_COUNT, given.repetitions),
        "admin": lambda: measure_admin(url, folder, given.admin_events, given.seconds),
        "engines": lambda: measure_engines(url, folder, given.engines_rows, given.repetitions),
        "growth": lambda: _growth(given, url, folder),
        "footprint": lambda: measure_footprint(folder, given.idle_minutes),
        "memory": lambda: measure_memory(url, MEMORY_ROW_COUNT),
        **agents,
    }


def _growth(given: argparse.Namespace, url: str, folder: Path) -> RenderableType:
    if given.measured:
        return show_growth(read_page(given.measured), given.page, given.chart)
    counts = (given.growth_events, given.growth_day, given.repetitions)
    return measure_growth(url, folder, *counts, given.page, given.chart)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measure footfall on this machine.")
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help="singles, batches, ledger, load, refresh, stats, admin, seal, erase, engines, growth, footprint, memory, "
        "agents; or all",
    )
    parser.add_argument("--rows", type=int, default=DEFAULT_ROW_COUNT, help="events to load (default %(default)s)")
    parser.add_argument("--events", type=int, default=DEFAULT_EVENT_COUNT, help="to seal (default %(default)s)")
    parser.add_argument(
        "--erase-rows", type=int, default=ERASE_ROW_COUNT, help="sealed events to erase from (default %(default)s)"
    )
    parser.add_argument(
        "--admin-events", type=int, default=ADMIN_EVENT_COUNT, help="behind the stats API (default %(default)s)"
    )
    parser.add_argument("--days", type=int, default=DEFAULT_DAYS, help="to expire (default %(default)s)")
    parser.add_argument(
        "--rows-a-day", type=int, default=DEFAULT_ROWS_A_DAY, help="events of each of them (default %(default)s)"
    )
    parser.add_argument(
        "--engines-rows", type=int, default=ENGINES_ROW_COUNT, help="events that engines build (default %(default)s)"
    )
    parser.add_argument(
        "--growth-events", type=int, default=GROWTH_EVENTS, help="to take all the way (default %(default)s)"
    )
    parser.add_argument(
        "--growth-day", type=int, default=GROWTH_DAY, help="events of the day that is built (default %(default)s)"
    )
    parser.add_argument("--measured", type=Path, metavar="PAGE", help="growth: reckon with what stands there")
    parser.add_argument("--page", type=Path, help="growth: where to write the tables, such as docs/scale.md")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="growth: where to draw the chart, a PNG")
    parser.add_argument("--repetitions", type=int, default=5, help="runs of each (default %(default)s)")
    parser.add_argument(
        "--seconds", type=float, default=10, help="of single events, earnings, stats, each run (default %(default)s)"
    )
    parser.add_argument("--minutes", type=float, default=5, help="of batches (default %(default)s)")
    parser.add_argument(
        "--idle-minutes", type=float, default=DEFAULT_MINUTES, help="to watch the idle stack (default %(default)s)"
    )
    parser.add_argument("--pace", type=int, default=20_000, help="events a second in batches (default %(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
