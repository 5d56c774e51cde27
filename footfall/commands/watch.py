"""`footfall watch`."""

from typing import TYPE_CHECKING, Annotated

import typer

from footfall.commands.options import Home

if TYPE_CHECKING:
    from footfall.watch.settings import WatchSettings


def watch(
    test_alert: Annotated[
        bool, typer.Option("--test-alert", help="Send one message by each way that is set, say what happened, and end.")
    ] = False,
    home: Home = None,
) -> None:
    """Send canaries, look for what is wrong, and tell people; `footfall up` does so by itself."""
    from footfall.watch.settings import load_watch_settings

    if test_alert:
        raise typer.Exit(_test(load_watch_settings()))
    from footfall.watch.__main__ import run

    run(home)


def _test(settings: "WatchSettings") -> int:
    """Send one message by each way; return the exit code."""
    from footfall.errors import NotDelivered
    from footfall.watch.watcher import channels

    ways, faults = channels(settings), 0
    if not ways:
        typer.echo("no way is set: alerts are in logs/watch.log and `footfall status` (see FOOTFALL_ALERT_WEBHOOK)")
    for channel in ways:
        try:
            channel.send("footfall: a test", ["This is a test: alerts come this way."])
        except NotDelivered as error:
            faults += 1
            typer.echo(str(error), err=True)
        else:
            typer.echo(f"sent by {channel.name}")
    return 1 if faults else 0
