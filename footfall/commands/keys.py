"""`footfall keys create|list|revoke`."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

import typer

from footfall.commands.actor import actor
from footfall.commands.options import Home

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
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Pages of this origin may use it, like https://app.example; repeat for more. Without any: all pages"
            " for a write key, none for the others.",
        ),
    ] = None,
    rate_limit: Annotated[
        int, typer.Option(min=1, max=1_000_000, help="How many requests a second each worker takes from it.")
    ] = 1_000,
    home: Home = None,
) -> None:
    """Make a key and print it, once, alone on stdout."""
    from footfall.settings import load_settings
    from footfall.stack import open_current
    from ingest_app.keys import create_key

    if app_name is not None and not 1 <= len(app_name) <= 50:
        raise typer.BadParameter("an app's name has 1 to 50 characters", param_hint="--app")
    origins = [_origin(each) for each in origin or ()]
    with open_current(load_settings(home)) as connection:
        typer.echo(create_key(connection, scope.value, app_name, origins, rate_limit, actor()))


@app.command("list")
def list_(home: Home = None) -> None:
    """Print all keys but not the keys themselves, which nobody can read any more."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from footfall.settings import load_settings
    from footfall.stack import open_current
    from ingest_app.keys import list_keys

    table = Table("id", "scope", "app", "origins", "rate limit", "created", "last used", "revoked")
    with open_current(load_settings(home)) as connection:
        for key in list_keys(connection):
            times = (_minute(time) for time in (key.created_at, key.last_used_at, key.revoked_at))
            origins = " ".join(key.allowed_origins)
            table.add_row(
                str(key.id),
                key.scope,
                escape(key.app_name or ""),
                escape(origins),
                f"{key.requests_per_second}/s",
                *times,
            )
    Console().print(table)


@app.command()
def revoke(key_id: Annotated[int, typer.Argument(metavar="ID")], home: Home = None) -> None:
    """Make a key worthless from now on."""
    from footfall.errors import NoSuchKey
    from footfall.settings import load_settings
    from footfall.stack import open_current
    from ingest_app.keys import revoke_key

    with open_current(load_settings(home)) as connection:
        if not revoke_key(connection, key_id, actor()):
            raise NoSuchKey(key_id)
    typer.echo(f"key {key_id} is revoked")


def _minute(time: datetime | None) -> str:
    return f"{time:%Y-%m-%d %H:%M}" if time else ""


def _origin(stated: str) -> str:
    """A malformed origin is wrong usage, and no database is asked."""
    from ingest_app.errors import OriginMalformed
    from ingest_app.keys import read_origin

    try:
        return read_origin(stated)
    except OriginMalformed as error:
        raise typer.BadParameter(str(error), param_hint="--origin") from error
