"""What `up` and `demo` print about a running stack."""

import typer

from footfall.stack import Role, Stack, open_engine
from ingest_app.database import connect
from ingest_app.keys import SCOPES, create_key, list_keys


def print_addresses(stack: Stack, only: Role | None = None) -> None:
    """Print where each of the three kinds of people goes, as far as this host serves them."""
    if only != "warehouse":
        typer.echo(f"  apps post to   {stack.ingest_url}")
    if only == "ingest":
        return
    typer.echo(f"  admin page     {stack.admin_url}")
    typer.echo(f"  Dagster UI     {stack.dagster_url}")
    typer.echo(f"  analysts open  {stack.settings.published_path}  (DuckDB, after the first refresh)")


def print_first_keys(stack: Stack) -> None:
    """Make one key a scope and print them, if this database has none yet: a key can be read only now."""
    with open_engine(stack.settings) as engine, connect(engine) as connection, connection.begin():
        if list_keys(connection):
            typer.echo("  keys           made earlier, shown once; `footfall keys create` makes more")
            return
        made = {scope: create_key(connection, scope) for scope in SCOPES}
    for scope, key in made.items():
        typer.echo(f"  {scope + ' key':<14} {key}")
