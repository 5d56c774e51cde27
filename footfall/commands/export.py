"""`footfall export`."""

from pathlib import Path
from typing import Annotated

import typer

from footfall.commands.options import Home
from footfall.commands.subject import Account, User, the_subject


def export(
    user: User = None,
    account: Account = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A file, written whole or not at all (mode 0600); else stdout."),
    ] = None,
    home: Home = None,
) -> None:
    """Write all that is held on a person as JSON: spool, Postgres, warehouse, sealed days; each row once."""
    from footfall.exporting import export as export_person
    from footfall.settings import load_settings
    from footfall.stack import open_database

    subject = the_subject(user, account)
    settings = load_settings(home)
    with open_database(settings) as database_url:
        row_count = export_person(settings, database_url, subject, output, lambda words: typer.echo(words, err=True))
    if output is not None:
        typer.echo(f"{row_count:,} rows of {subject} are in {output}")
