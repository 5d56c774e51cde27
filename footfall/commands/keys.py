"""`footfall keys create|list|revoke`."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from footfall.commands.options import Home

if TYPE_CHECKING:
    from sqlalchemy import Connection

app = typer.Typer(help="Make, list and revoke API keys.", no_args_is_help=True)


class Scope(StrEnum):
    """What a key may do: send records, also speak for users and of the past, or read the admin page."""

    write = "write"
    server = "server"
    admin = "admin"


@app.command()
def create(
    scope: Annotated[Scope, typer.Option(help="What the key may do.")],
    app_name: Annotated[str | None, typer.Option("--app", help="The app it is for, at most 50 characters.")] = None,
    origin: Annotated[
        list[str] | None, typer.Option(help="An origin that browsers may send it from; kept, not yet enforced.")
    ] = None,
    home: Home = None,
) -> None:
    """Make a key and print it, once, alone on stdout."""
    from ingest_app.keys import create_key

    if app_name is not None and not 1 <= len(app_name) <= 50:
        raise typer.BadParameter("an app's name has 1 to 50 characters", param_hint="--app")
    with _connection(home) as connection:
        typer.echo(create_key(connection, scope.value, app_name, origin or []))


@app.command("list")
def list_(home: Home = None) -> None:
    """Print all keys but not the keys themselves, which nobody can read any more."""
    from rich.console import Console
    from rich.table import Table

    from ingest_app.keys import list_keys

    table = Table("id", "scope", "app", "origins", "created", "revoked")
    with _connection(home) as connection:
        for key in list_keys(connection):
            revoked = f"{key.revoked_at:%Y-%m-%d %H:%M}" if key.revoked_at else ""
            origins = " ".join(key.allowed_origins)
            created = f"{key.created_at:%Y-%m-%d %H:%M}"
            table.add_row(str(key.id), key.scope, key.app_name or "", origins, created, revoked)
    Console().print(table)


@app.command()
def revoke(key_id: Annotated[int, typer.Argument(metavar="ID")], home: Home = None) -> None:
    """Make a key worthless from now on."""
    from footfall.errors import NoSuchKey
    from ingest_app.keys import revoke_key

    with _connection(home) as connection:
        if not revoke_key(connection, key_id):
            raise NoSuchKey(key_id)
    typer.echo(f"key {key_id} is revoked")


@contextmanager
def _connection(home: Home) -> Iterator["Connection"]:
    from footfall.settings import load_settings
    from footfall.stack import open_engine
    from ingest_app.database import connect
    from ingest_app.migrate import require_current

    with open_engine(load_settings(home)) as engine, connect(engine) as connection, connection.begin():
        require_current(connection)
        yield connection
