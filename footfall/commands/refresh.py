"""`footfall refresh`."""

from typing import TYPE_CHECKING, Annotated

import typer

from footfall.commands.options import Home

if TYPE_CHECKING:
    from footfall.settings import Settings
    from pipelines.refresh import RefreshSummary


def refresh(
    full: Annotated[bool, typer.Option("--full", help="Load and build everything anew from Postgres.")] = False,
    home: Home = None,
) -> None:
    """Load, build the models, check and publish, now, in the foreground; print what moved."""
    from footfall.settings import load_settings
    from footfall.stack import open_database
    from warehouse.writer import require_no_writer

    settings = load_settings(home)
    require_no_writer(settings.warehouse_path)
    with open_database(settings) as database_url:
        print_moved(run_refresh(settings, database_url, full=full))


def run_refresh(settings: "Settings", database_url: str, *, full: bool = False) -> "RefreshSummary":
    """Run the refresh job in this process, recorded in the Dagster UI like any other run.

    Raises SchemaNotMigrated, and RefreshFailed, which names the step and the model.
    """
    from footfall.dagster_home import dagster_environment
    from ingest_app.database import DRAINING, connect, make_engine
    from ingest_app.drain.drainer import drain_all
    from ingest_app.migrate import require_current

    engine = make_engine(database_url, options=DRAINING)
    with connect(engine) as connection:
        require_current(connection)
    # what was accepted before this moment is in what comes out, also where no drainer runs
    drain_all(engine, settings.home / "spool")
    engine.dispose()
    from pipelines.refresh import refresh_now

    return refresh_now(dagster_environment(settings.home, database_url, settings.archive_address), full=full)


def print_moved(summary: "RefreshSummary") -> None:
    """Print the rows loaded of each table and the rows of each published one."""
    from rich.console import Console
    from rich.table import Table

    console = Console()
    loaded = Table("loaded table", "new rows", box=None, header_style="bold")
    loaded.columns[1].justify = "right"
    for name, count in sorted(summary.loaded_row_counts.items()):
        loaded.add_row(name, f"{count:,}", style="" if count else "dim")
    published = Table("published table", "rows", box=None, header_style="bold")
    published.columns[1].justify = "right"
    for name, count in sorted(summary.published_row_counts.items()):
        published.add_row(name, f"{count:,}")
    console.print(loaded, published, sep="\n\n")
    for name, transactions in sorted(summary.held_back.items()):
        console.print(f"\nwarning: rows of {name} wait until a transaction commits: {transactions}", style="yellow")
    for name, told in sorted(summary.only_here.items()):
        console.print(f"\nwarning: of {name} {told}", style="yellow")
    console.print(f"\nrefreshed in {summary.duration_seconds:.1f} s")
