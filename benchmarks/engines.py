"""All models from the start, and after some new rows, on DuckDB, on Spark with one worker and on Spark with two.

The cluster is a real one, its master and workers processes of this machine; a worker has one core. History is sealed,
in the same files for all. From builds of two sizes follows where Spark, given more machines, would be the faster one.
"""

import math
import shutil
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from rich.console import Console, Group
from rich.table import Table

from benchmarks.growth import told
from benchmarks.growth_model import Line, fit, pays_from
from benchmarks.load import INSERT_EVENTS
from benchmarks.refresh import NEW_EVENTS, Bench, Refresh, empty, make_bench

DEFAULT_ROW_COUNT = 20_000_000
HISTORY_DAYS = 50
# the smaller history, of which the line through two sizes begins
TENTH = 10
MACHINES = (1, 2, 4, 8, 16, 32)
# to a side its workers; DuckDB has none
SIDES = {"DuckDB": 0, "Spark, one worker": 1, "Spark, two workers": 2}
ALONE, WHOLE_MACHINE = "DuckDB", "Spark, two workers"


@dataclass(frozen=True)
class Side:
    """What one side took for a history: builds of everything, and refreshes after new rows."""

    builds: Sequence[float]
    refreshes: Sequence[Refresh]

    @property
    def build_seconds(self) -> float:
        """The median build."""
        return statistics.median(self.builds)

    @property
    def refresh(self) -> Refresh:
        """The median refresh."""
        return sorted(self.refreshes, key=lambda refresh: refresh.total)[len(self.refreshes) // 2]


def measure_engines(database_url: str, folder: Path, row_count: int, repetitions: int) -> Group:
    """Build a tenth of the rows and all of them, on each side. Raises SparkUnusable where Spark does not run."""
    sizes = (row_count // TENTH, row_count)
    console = Console(stderr=True)
    found: dict[str, dict[int, Side]] = {name: {} for name in SIDES}
    for size in sizes:
        console.print(f"sealing {size:,} events")
        made = make_bench(database_url, folder / f"engines-{size}", size, days=HISTORY_DAYS)
        for number, (name, worker_count) in enumerate(SIDES.items()):
            console.print(f"{size:,} events: {name}")
            home = folder / f"engines-{size}-{number}"
            shutil.copytree(made.home, home)
            with _master(home.with_suffix(".cluster"), worker_count) as master:
                bench = replace(made, home=home, engine="spark" if master else "duckdb", spark_master=master)
                found[name][size] = _measure(bench, repetitions)
            shutil.rmtree(home)
        shutil.rmtree(made.home)
    lines = {name: fit(*((size, side.build_seconds) for size, side in sides.items())) for name, sides in found.items()}
    return Group(_builds(sizes, found, lines), _refreshes(row_count, found), _pays(lines))


@contextmanager
def _master(folder: Path, worker_count: int) -> Iterator[str]:
    """Yield the address of a cluster's master, nothing where no workers are asked for."""
    if not worker_count:
        yield ""
        return
    # it imports Spark, which is an extra
    from tests.spark.cluster import spark_cluster

    with spark_cluster(folder, worker_count) as cluster:
        yield cluster.address


def _measure(bench: Bench, repetitions: int) -> Side:
    with psycopg.connect(bench.database_url, autocommit=True) as connection:
        empty(connection)
        builds = [bench.refresh(full=True).models for _ in range(repetitions)]
        refreshes = []
        for _ in range(repetitions):
            connection.execute(INSERT_EVENTS, [NEW_EVENTS])
            refreshes.append(bench.refresh())
    return Side(builds, refreshes)


def _builds(sizes: Sequence[int], found: dict[str, dict[int, Side]], lines: dict[str, Line]) -> Table:
    table = Table(title="All models and checks from the start, medians")
    table.add_column("")
    for size in sizes:
        table.add_column(f"{size:,} events, s", justify="right")
    for heading in ("times DuckDB's", "fixed s", "µs an event"):
        table.add_column(heading, justify="right")
    for name, sides in found.items():
        seconds = [sides[size].build_seconds for size in sizes]
        times = seconds[-1] / found[ALONE][sizes[-1]].build_seconds
        line = lines[name]
        numbers = (*seconds, times, line.fixed, line.an_event * 1e6)
        table.add_row(name, *(f"{number:,.2f}" for number in numbers))
    return table


def _refreshes(size: int, found: dict[str, dict[int, Side]]) -> Table:
    table = Table(title=f"A refresh after {NEW_EVENTS:,} new events, history of {size:,}, medians")
    for heading in ("", "load s", "models s", "publish s", "total s", "times DuckDB's"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, sides in found.items():
        done = sides[size].refresh
        times = done.total / found[ALONE][size].refresh.total
        numbers = (done.load, done.models, done.publish, done.total, times)
        table.add_row(name, *(f"{number:,.2f}" for number in numbers))
    return table


def _pays(lines: dict[str, Line]) -> Table:
    """Reckon, with Spark's seconds an event shared evenly by machines like this one, and its fixed ones by none."""
    alone, spread = lines[ALONE], lines[WHOLE_MACHINE]
    needed = math.ceil(spread.an_event / alone.an_event) if alone.an_event else math.inf
    table = Table(title=f"Spark builds an event as fast as DuckDB on {needed} machines like this one; reckoned:")
    table.add_column("machines", justify="right")
    table.add_column("Spark is faster from so many events on", justify="right")
    for machines in MACHINES:
        table.add_row(str(machines), told(pays_from(alone, spread, machines)))
    return table
