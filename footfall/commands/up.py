"""`footfall up`."""

import threading
from typing import Annotated, Literal

import typer

from footfall.commands.options import Home


def up(
    only: Annotated[
        Literal["ingest", "warehouse"] | None,
        typer.Option(help="Run a part, where several hosts make one footfall: ingest and its drainer, or all else."),
    ] = None,
    home: Home = None,
) -> None:
    """Run everything in the foreground: Postgres, ingest, admin page, Dagster. Ctrl-C stops all, cleanly."""
    from footfall.commands.printing import print_addresses, print_first_keys
    from footfall.settings import load_settings
    from footfall.stack import running_stack
    from footfall.watch.settings import load_watch_settings

    stop = threading.Event()
    settings = load_settings(home)
    # a watcher that ends for a wrong setting is one whom nobody hears
    load_watch_settings()
    typer.echo(f"starting footfall (home folder {settings.home})")
    with running_stack(settings, stop, only) as stack:
        if not stop.is_set():
            print_addresses(stack, only)
            if only != "ingest":
                print_first_keys(stack)
            typer.echo("Ctrl-C stops everything.")
        stop.wait()
        typer.echo("stopping")
