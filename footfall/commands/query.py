"""`footfall query`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from footfall.commands.options import Home

if TYPE_CHECKING:
    from footfall.answers import Format

FormatName = Literal["table", "csv", "json", "parquet"]


def query(
    sql: Annotated[str, typer.Argument(metavar="SQL", help="What to ask; `-` reads it from the standard input.")],
    form: Annotated[
        FormatName | None, typer.Option("--format", help="Without it what the name of FILE ends in, else a table.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the answer there, whole or not at all.")
    ] = None,
    home: Home = None,
) -> None:
    """Ask the published tables; see docs/analysts.md for what is in them.

    The SQL reads the published file and nothing else: no other file, no network.
    """
    from footfall.answers import Format, require_writable, whole_file
    from footfall.settings import read_settings

    chosen = Format(form) if form else _format_of(output)
    if chosen is Format.PARQUET and output is None:
        raise typer.BadParameter("parquet is not for the screen: name a file with -o", param_hint="--format")
    path = read_settings(home).published_path
    text = sys.stdin.read() if sql == "-" else sql
    if output is None:
        _write(path, text, chosen, None)
    else:
        with whole_file(require_writable(output)) as made:
            _write(path, text, chosen, made)


def _format_of(output: Path | None) -> "Format":
    from footfall.answers import Format

    ending = output.suffix.removeprefix(".").lower() if output else ""
    return Format(ending) if ending in set(Format) else Format.TABLE


def _write(published_path: Path, sql: str, form: "Format", made: Path | None) -> None:
    from footfall.answers import Format, write_parquet, write_text
    from footfall.querying import ask, interruptible, open_published

    with open_published(published_path, made) as connection:

        def answer() -> None:
            found = ask(connection, sql)
            if made is None:
                write_text(found, form, sys.stdout)
            elif form is Format.PARQUET:
                write_parquet(found, made)
            else:
                with made.open("w", encoding="utf-8", newline="") as file:
                    write_text(found, form, file)

        interruptible(connection, answer)
