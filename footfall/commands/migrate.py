"""`footfall migrate`."""

import typer

from footfall.commands.options import Home


def migrate(home: Home = None) -> None:
    """Bring the database's schema up to date, and make the event partitions of the next 14 days."""
    from footfall.settings import load_settings
    from footfall.stack import open_engine
    from ingest_app import migrate as migrations
    from ingest_app.database import connect

    with open_engine(load_settings(home)) as engine, connect(engine) as connection:
        before, after = migrations.migrate(connection)
    if before == after:
        typer.echo(f"the schema is up to date ({after})")
    else:
        typer.echo(f"the schema went from {before or 'nothing'} to {after}")
