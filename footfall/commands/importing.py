"""`footfall import weblog|records`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from footfall.commands.options import Home
from footfall.importing.record_kinds import RecordKind

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from footfall.importing.source import Source
    from footfall.importing.writing import Imported
    from footfall.settings import Settings

app = typer.Typer(help="Bring history in; safe to repeat.", no_args_is_help=True)

Files = Annotated[list[Path], typer.Argument(metavar="FILE…", help="Each goes in whole or not at all.")]


@app.command()
def weblog(
    files: Files,
    app_name: Annotated[str, typer.Option("--app", help="The app whose visits these are, at most 50 characters.")],
    home: Home = None,
) -> None:
    """Import web-server logs (common or combined format, also .gz) as visits.

    Addresses and user agents are hashed, queries left out.

    Importing a file again, or one that overlaps it, adds only what is new.
    Equal lines count as often as they stand in one file.
    """
    from footfall.importing.weblog import WebLog
    from footfall.settings import load_settings, read_secret

    if not 1 <= len(app_name) <= 50 or "\x00" in app_name:
        raise typer.BadParameter("an app's name has 1 to 50 characters", param_hint="--app")
    settings = load_settings(home)
    secret = read_secret(settings)
    imported = _import(settings, [WebLog(path, app_name, secret) for path in files])
    columns = ("file", "lines", "new", "already there", "by bots", "unreadable")
    _print_table(
        columns,
        [
            (one.path, one.read_count, one.new_count, one.known_count, one.bot_count, one.fault_count)
            for one in imported
        ],
    )
    for one in imported:
        for fault in one.faults:
            typer.echo(f"left out of {one.path}, {fault}", err=True)


@app.command()
def records(
    files: Files,
    kind: Annotated[RecordKind, typer.Option(help="What the records are.")],
    home: Home = None,
) -> None:
    """Import records from NDJSON, CSV (also .gz) or Parquet; the columns are the fields of the HTTP endpoint.

    A file with a wrong record is refused whole.

    Importing files again adds only what is new. A record without event_id
    counts as often as it stands in the files of one command.
    """
    from datetime import UTC, datetime

    from footfall.importing.event_ids import EventIds
    from footfall.importing.records import RecordFile
    from footfall.settings import load_settings

    ids, now = EventIds(), datetime.now(UTC)
    imported = _import(load_settings(home), [RecordFile(path, kind, ids, now) for path in files])
    columns = ("file", "records", "new or changed", "already there")
    _print_table(columns, [(one.path, one.read_count, one.new_count, one.known_count) for one in imported])


def _import(settings: "Settings", sources: "Sequence[Source]") -> "list[Imported]":
    """Look at all files first, so that a misspelt name does not show after an hour; then write one by one."""
    for source in sources:
        source.check()
    with _migrated_engine(settings) as engine:
        return list(_written(engine, sources))


def _written(engine: "Engine", sources: "Iterable[Source]") -> "Iterator[Imported]":
    from rich.console import Console
    from rich.progress import Progress

    from footfall.importing.writing import write_file

    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        for source in sources:
            task = progress.add_task(source.path.name, total=1.0)

            def show(share: float, task_id: int = task) -> None:
                progress.update(task_id, completed=share)  # type: ignore[arg-type]

            yield write_file(engine, source, show)


@contextmanager
def _migrated_engine(settings: "Settings") -> "Iterator[Engine]":
    from footfall.stack import open_engine
    from ingest_app.database import connect
    from ingest_app.migrate import require_current

    with open_engine(settings) as engine:
        with connect(engine) as connection:
            require_current(connection)
        yield engine


def _print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for n, column in enumerate(columns):
        table.add_column(column, justify="right" if n else "left", overflow="fold")
    for path, *counts in rows:
        table.add_row(str(path), *(f"{count:,}" for count in counts))
    Console().print(table)
