"""`footfall demo`."""

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from footfall.commands.options import Home

if TYPE_CHECKING:
    from rich.console import Console

    from footfall.stack import Stack

APP_NAME = "footfall demo"
SEED = 2015
LIVE_ROUNDS = 5


def demo(
    once: Annotated[bool, typer.Option("--once", help="Stop everything after the summary.")] = False,
    days: Annotated[int, typer.Option(min=1, max=365, help="Days of sample history.")] = 30,
    home: Home = None,
) -> None:
    """Run everything, with sample history and live traffic through the HTTP API, and print what came of it."""
    from rich.console import Console

    from footfall.commands.printing import print_addresses, print_first_keys
    from footfall.demo.run import send_live
    from footfall.settings import load_settings
    from footfall.stack import running_stack

    stop, console = threading.Event(), Console(highlight=False)
    settings = load_settings(home)
    console.print(f"Starting footfall (home folder {settings.home}) …")
    with running_stack(settings, stop) as stack:
        if stop.is_set():
            return
        print_addresses(stack)
        print_first_keys(stack)
        write_key = _fill(stack, days, stop, console)
        if once or stop.is_set():
            return
        console.print("Live traffic goes on; Dagster refreshes every five minutes. Ctrl-C stops everything.")
        send_live(stack.ingest_url, write_key, seed=SEED, rounds=None, stop=stop)
        console.print("Stopping …")


def _fill(stack: "Stack", days: int, stop: threading.Event, console: "Console") -> str:
    """Send history and a little live traffic, refresh, print the summary. Returns the key that writes."""
    from footfall.commands.refresh import run_refresh
    from footfall.demo.run import send_history, send_live
    from footfall.demo.summary import print_summary

    write_key, server_key = _make_keys(stack)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    sent = send_history(
        stack.ingest_url, server_key, days=days, seed=SEED, last_day=yesterday, console=console, stop=stop
    )
    sent += send_live(stack.ingest_url, write_key, seed=SEED, rounds=LIVE_ROUNDS, stop=stop)
    if stop.is_set():
        return write_key
    console.print("Refreshing: Postgres to DuckDB, models, checks, publish …")
    run_refresh(stack.settings, stack.database_url)
    print_summary(console, stack.settings.published_path, sent)
    return write_key


def _make_keys(stack: "Stack") -> tuple[str, str]:
    """Make the demo's own keys; those of an earlier demo stop working."""
    from footfall.stack import open_engine
    from ingest_app.database import connect
    from ingest_app.keys import create_key, list_keys, revoke_key

    with open_engine(stack.settings) as engine, connect(engine) as connection, connection.begin():
        for key in list_keys(connection):
            if key.app_name == APP_NAME and key.revoked_at is None:
                revoke_key(connection, key.id)
        return create_key(connection, "write", APP_NAME), create_key(connection, "server", APP_NAME)
