"""`footfall rejected list|retry`."""

from typing import Annotated

import typer

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
