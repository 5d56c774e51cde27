"""What each stage takes of one machine as events grow from 10^5 to 10^10 a day, which is full first, and the bill.

Costs are measured by `growth_stages` or read from a page where they stand; the rest follows, by `growth_model`. The
tables of `docs/scale.md` and its chart are written here.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from rich.console import Console, Group
from rich.table import Table

from benchmarks.growth_chart import draw
from benchmarks.growth_model import (
    DECADES,
    Bill,
    Costs,
    bill,
    cost_rows,
    read_costs,
    stages,
)
from benchmarks.growth_stages import measure_costs

DEFAULT_EVENT_COUNT = 200_000
DEFAULT_DAY = 3_000_000
REPETITIONS = 3

WORDS = {1_000_000_000: "billion", 1_000_000: "million"}
COSTS_HEAD = ("one event costs", "measured", "of")

Rows = Sequence[tuple[str, ...]]

BILL: Mapping[str, Callable[[Bill], str]] = {
    "events a second, peak hour": lambda of: _amount(of.peak_events_per_second),
    "ingest hosts: cores": lambda of: _amount(of.ingest_cores),
    "Postgres: cores": lambda of: _amount(of.postgres_cores),
    "loading: cores": lambda of: _amount(of.load_cores),
    "DuckDB, fresh in 5 minutes: cores, all in one machine": lambda of: _amount(of.duckdb_cores),
    "Spark, fresh in 5 minutes: cores": lambda of: _amount(of.spark_cores),
    "Spark, fresh in an hour: cores": lambda of: _amount(of.spark_late_cores),
    "Postgres, 90 hot days: TB": lambda of: _amount(of.hot_tb),
    "sealed days, each year: TB": lambda of: _amount(of.sealed_tb_a_year),
    "users and sessions a day, each year: TB": lambda of: _amount(of.between_tb_a_year),
    "published file, each year: MB": lambda of: _amount(of.published_mb_a_year),
}


def measure_growth(
    database_url: str, folder: Path, event_count: int, day: int, repetitions: int, page: Path | None, chart: Path | None
) -> Group:
    """Measure, reckon, and write page and chart where they are named. Raises SparkUnusable."""
    console = Console(stderr=True)
    costs = measure_costs(database_url, folder / "growth", event_count, day, repetitions, console.print)
    return show_growth(costs, page, chart)


def show_growth(costs: Costs, page: Path | None, chart: Path | None) -> Group:
    """Return the tables that follow from costs; write them into the page, and draw the chart, where they are named."""
    tables = growth_tables(costs)
    if page:
        page.write_text(with_tables(page.read_text(), tables))
    if chart:
        chart.write_bytes(draw(stages(costs), DECADES, told, share_told))
    return Group(*(_shown(table) for table in tables))


def growth_tables(costs: Costs) -> list[Rows]:
    """Return the measured costs, the stages and the bill; the first row of each is its head."""
    decades = tuple(told(decade) for decade in DECADES)
    bills = [bill(costs, decade) for decade in DECADES]
    return [
        [COSTS_HEAD, *cost_rows(costs)],
        [
            ("stage", *decades, "full at", "then"),
            *(
                (
                    stage.name,
                    *(share_told(stage.share(decade)) for decade in DECADES),
                    told(stage.full_at()),
                    stage.remedy,
                )
                for stage in stages(costs)
            ),
        ],
        [("bill", *decades), *((name, *(of(each) for each in bills)) for name, of in BILL.items())],
    ]


def with_tables(text: str, tables: Sequence[Rows]) -> str:
    """Return a page in which each table with the first head cell of one of these is replaced. Raises ValueError."""
    lines = text.splitlines()
    for rows in tables:
        first = next((number for number, line in enumerate(lines) if line.startswith(f"| {rows[0][0]} |")), None)
        if first is None:
            raise ValueError(f"the page has no table that begins with | {rows[0][0]} |")
        end = next((number for number in range(first, len(lines)) if not lines[number].startswith("|")), len(lines))
        lines[first:end] = markdown(rows)
    return "\n".join(lines) + "\n"


def read_page(page: Path) -> Costs:
    """Read the measured costs from a page's table. Raises KeyError with what is missing there."""
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.read_text().splitlines()]
    return read_costs({row[0]: row[1].replace(",", "") for row in cells if len(row) == len(COSTS_HEAD)})


def markdown(rows: Rows) -> list[str]:
    """Return a table's lines; all columns but the first are to the right."""
    rule = "|".join(("---", *("--:" for _ in rows[0][1:])))
    head, *body = (f"| {' | '.join(row)} |" for row in rows)
    return [head, f"|{rule}|", *body]


def told(events: float) -> str:
    """Say a number of events in words, with two digits."""
    if math.isinf(events):
        return "never"
    rounded = float(f"{events:.2g}")
    for size, word in WORDS.items():
        if rounded >= size:
            return f"{rounded / size:,.10g} {word}"
    return f"{rounded:,.0f}"


def share_told(share: float) -> str:
    """Say a share in percent, or how many machines it would be."""
    if share >= 2:
        return f"{_amount(share)} times"
    return f"{share:.0%}" if share >= 0.01 else "<1%"


def _amount(value: float) -> str:
    if math.isinf(value):
        return "none is enough"
    if value < 0.01:
        return "<0.01"
    rounded = float(f"{value:.2g}")
    return f"{rounded:,.0f}" if rounded >= 10 else f"{rounded:g}"


def _shown(rows: Rows) -> Table:
    table = Table(*rows[0])
    for row in rows[1:]:
        table.add_row(*row)
    for column in table.columns[1:]:
        column.justify = "right"
    return table
