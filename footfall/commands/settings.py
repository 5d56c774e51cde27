"""`footfall settings get`, `set`."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from footfall.commands.actor import actor
from footfall.commands.options import Home

app = typer.Typer(help="Read and change the kill switches and settings, while footfall runs.", no_args_is_help=True)

Key = Annotated[str, typer.Argument(metavar="KEY", help="The setting's name: `footfall settings get` lists them.")]
Value = Annotated[str, typer.Argument(metavar="VALUE", help="A whole number; 1 is on and 0 is off.")]


@app.command()
def get(
    key: Annotated[str | None, typer.Argument(metavar="[KEY]", help="Print this value alone.")] = None,
    home: Home = None,
) -> None:
    """Print all settings with what they mean, or the bare value of one."""
    from footfall.errors import SettingNotSet
    from footfall.settings import load_settings
    from footfall.stack import open_current
    from ingest_app.admin_settings import find_rule, read_settings

    if key is not None:
        with _wrong_usage():
            default = find_rule(key).default
    with open_current(load_settings(home)) as connection:
        stored = read_settings(connection)
    if key is None:
        _print(stored)
    elif key in stored:
        typer.echo(stored[key])
    else:
        raise SettingNotSet(key, default)


@app.command("set")
def set_(key: Key, value: Value, home: Home = None) -> None:
    """Change a setting, from now on; who changed what is kept in `admin_audit_log`."""
    from footfall.settings import load_settings
    from footfall.stack import open_current
    from ingest_app.admin_settings import check, set_setting

    with _wrong_usage():
        check(key, value)
    with open_current(load_settings(home)) as connection:
        old = set_setting(connection, key, value, actor())
    was = "was not set" if old is None else f"was {old}"
    typer.echo(f"{key} is {value} already" if old == value else f"{key} is now {value}, {was}")


def _print(stored: dict[str, str]) -> None:
    from rich.console import Console
    from rich.table import Table

    from ingest_app.admin_settings import RULES

    table = Table("key", "value", "meaning")
    for key, rule in RULES.items():
        table.add_row(key, stored.get(key, "not set"), rule.meaning)
    Console().print(table)


@contextmanager
def _wrong_usage() -> Iterator[None]:
    """An unknown key and a value against the rule are wrong usage: one line, exit 2, and no database is asked."""
    from ingest_app.errors import SettingRefused

    try:
        yield
    except SettingRefused as error:
        typer.echo(f"footfall: {error}", err=True)
        raise typer.Exit(2) from error
