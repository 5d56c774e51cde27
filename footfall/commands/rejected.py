"""`footfall rejected list|retry|lost`."""

from typing import Annotated

import typer

from footfall.commands.actor import actor
from footfall.commands.options import Home

app = typer.Typer(help="Records that Postgres refused after their 202: set aside, never dropped.", no_args_is_help=True)


@app.command("list")
def list_(
    limit: Annotated[int, typer.Option(min=1, help="The newest so many.")] = 100,
    home: Home = None,
) -> None:
    """Print rejected records with their reason and body, the newest first."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from footfall.settings import load_settings
    from footfall.stack import open_current
    from ingest_app.drain.rejected import list_rejected

    table = Table("id", "rejected", "kind", "event id", "reason", "body")
    with open_current(load_settings(home)) as connection:
        for row in list_rejected(connection, limit):
            event_id = str(row.event_id or "")
            # what apps send may look like rich's markup
            sent = (escape(text) for text in (row.kind, event_id, row.reason, row.body))
            table.add_row(str(row.id), f"{row.rejected_at:%Y-%m-%d %H:%M}", *sent)
    if table.row_count:
        Console().print(table)
    else:
        typer.echo("no record was rejected")


@app.command()
def retry(
    ids: Annotated[list[int] | None, typer.Argument(metavar="[ID]…", help="Which ones; all if none is named.")] = None,
    home: Home = None,
) -> None:
    """Try again to bring rejected records into Postgres, once what they were refused for is mended."""
    from footfall.errors import RecordsStillRejected
    from footfall.settings import load_settings
    from footfall.stack import open_current
    from ingest_app.drain.rejected import retry_rejected

    with open_current(load_settings(home)) as connection:
        kept, stayed = retry_rejected(connection, ids or [])
    if stayed:
        raise RecordsStillRejected(kept, stayed)
    typer.echo(f"{kept} records are in Postgres now")


@app.command()
def lost(
    accept: Annotated[
        bool, typer.Option("--accept", help="Take note of the loss: it counts as rejected from now on.")
    ] = False,
    home: Home = None,
) -> None:
    """Print what was accepted and of which nothing became: a damaged spool lost it, or a trigger swallowed it.

    While there is any, `assert_events_are_conserved` fails and nothing new is published.
    """
    from rich.console import Console
    from rich.table import Table

    from footfall.settings import load_settings
    from footfall.stack import open_current
    from ingest_app.intake import accept_lost, list_lost

    with open_current(load_settings(home)) as connection:
        found = accept_lost(connection, actor()) if accept else list_lost(connection)
    if not found:
        typer.echo("nothing is lost: what was accepted is stored, or told of")
        return
    table = Table("hour (UTC)", "table", "counted by", "records")
    for one in found:
        table.add_row(f"{one.received_hour:%Y-%m-%d %H:%M}", one.table_name, one.node_name, f"{one.record_count:,}")
    Console().print(table)
    count = f"{sum(one.record_count for one in found):,} records"
    if accept:
        typer.echo(f"{count} count as rejected now, by you; `footfall refresh` publishes again")
    else:
        typer.echo(f"{count} are lost; once nobody can mend that: `footfall rejected lost --accept`")
