"""`footfall up`."""

import threading

import typer

from footfall.commands.options import Home


def up(home: Home = None) -> None:
    """Run everything in the foreground: Postgres, ingest, admin page, Dagster. Ctrl-C stops all, cleanly."""
    from footfall.commands.printing import print_addresses, print_first_keys
    from footfall.settings import load_settings
    from footfall.stack import running_stack

    stop = threading.Event()
    settings = load_settings(home)
    typer.echo(f"starting footfall (home folder {settings.home})")
    with running_stack(settings, stop) as stack:
        if not stop.is_set():
            print_addresses(stack)
            print_first_keys(stack)
            typer.echo("Ctrl-C stops everything.")
        stop.wait()
        typer.echo("stopping")
