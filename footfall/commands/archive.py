"""`footfall archive list|verify`."""

from typing import Annotated

import typer

from footfall.commands.options import Home

app = typer.Typer(help="Sealed days: the event tables' closed days as Parquet files.", no_args_is_help=True)


@app.command("list")
def list_(home: Home = None) -> None:
    """Print each sealed file with what the manifest says of it; its state is what shows without reading it."""
    from rich.console import Console
    from rich.table import Table

    from footfall.settings import load_settings
    from warehouse.archive.store import open_archive
    from warehouse.archive.verify import list_files

    table = Table("day", "table", "part", "rows", "bytes", "digest", "state")
    for number in (2, 3, 4):
        table.columns[number].justify = "right"
    settings = load_settings(home)
    for file, state in list_files(open_archive(settings.archive_address, settings.warehouse_path)):
        counts = str(file.part), f"{file.row_count:,}", f"{file.byte_count:,}"
        table.add_row(file.received_date, file.table_name, *counts, file.digest, state)
    if table.row_count:
        Console().print(table)
    else:
        typer.echo("no day is sealed yet")


@app.command()
def verify(
    quiet: Annotated[bool, typer.Option("--quiet", help="Print what is wrong, and nothing else.")] = False,
    home: Home = None,
) -> None:
    """Read all sealed files and the manifest; exit 1 if any of it is not as it was sealed."""
    from footfall.settings import load_settings
    from warehouse.archive.store import open_archive
    from warehouse.archive.verify import unnamed_files, verify_files
    from warehouse.errors import WriterBusy
    from warehouse.writer import writer_lock

    settings = load_settings(home)
    archive = open_archive(settings.archive_address, settings.warehouse_path)
    faults = good = 0
    row_count = byte_count = 0
    for finding in verify_files(archive):
        if finding.fault is None:
            good, row_count, byte_count = good + 1, row_count + finding.row_count, byte_count + finding.byte_count
        else:
            faults += 1
            typer.echo(f"{finding.subject} {finding.fault}: {finding.advice}")
    try:
        # so that no seal is under way, whose newest file is not in the manifest yet
        with writer_lock(settings.warehouse_path, purpose="verify the archive"):
            unnamed = list(unnamed_files(archive))
    except WriterBusy as error:
        unnamed = []
        typer.echo(f"files that the manifest does not name were not looked for: {error}", err=True)
    for finding in unnamed:
        typer.echo(f"{finding.subject} {finding.fault}: {finding.advice}")
    if not quiet:
        typer.echo(f"{good} files are as they were sealed: {row_count:,} rows, {byte_count:,} bytes")
    raise typer.Exit(1 if faults or unnamed else 0)
