"""`footfall archive list|verify|expire|restore`."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from footfall.commands.options import Home

if TYPE_CHECKING:
    from footfall.settings import Settings
    from warehouse.archive.expire import Expiry
    from warehouse.archive.restore import RestoredDay

Answer = TypeVar("Answer")

# another command, or a run of Dagster's, holds the warehouse for some seconds
WAIT_SECONDS = 60.0

app = typer.Typer(help="Sealed days: the event tables' closed days as Parquet files.", no_args_is_help=True)


@app.command("list")
def list_(home: Home = None) -> None:
    """Print each sealed file with what the manifest says of it and its state, as far as it shows without reading it.

    `sealed`: Postgres has the day too; `expired`: the file is the only place of its rows; else what is wrong with it.
    """
    from rich.console import Console
    from rich.table import Table

    from footfall.settings import load_settings
    from warehouse.archive.store import open_archive
    from warehouse.archive.verify import list_files

    table = Table("day", "table", "part", "rows", "bytes", "digest", "state")
    for number in (2, 3, 4):
        table.columns[number].justify = "right"
    settings = load_settings(home)
    files = list_files(open_archive(settings.archive_address, settings.warehouse_path))
    hot = _days_in_postgres(settings) if files else set()
    for file, state in files:
        counts = str(file.part), f"{file.row_count:,}", f"{file.byte_count:,}"
        if state == "sealed" and (hot is None or (file.table_name, file.day) not in hot):
            state = "expired" if hot is not None else "sealed or expired"
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
    from warehouse.archive.verify import files_kept_aside, unnamed_files, verify_files
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
            unnamed, aside = list(unnamed_files(archive)), list(files_kept_aside(archive))
    except WriterBusy as error:
        unnamed, aside = [], []
        typer.echo(f"files that the manifest does not name were not looked for: {error}", err=True)
    unnamed += [finding for finding in aside if finding.fault]
    for finding in unnamed:
        typer.echo(f"{finding.subject} {finding.fault}: {finding.advice}")
    for finding in aside:
        if not (finding.fault or quiet):
            typer.echo(f"{finding.subject} is kept aside, in no report: {finding.row_count:,} rows")
    if not quiet:
        typer.echo(f"{good} files are as they were sealed: {row_count:,} rows, {byte_count:,} bytes")
    raise typer.Exit(1 if faults or unnamed else 0)


@app.command()
def expire(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Look at each day as closely, say what would go, and change nothing.")
    ] = False,
    home: Home = None,
) -> None:
    """Let days older than archive_after_days leave Postgres, each proved to be in the archive; exit 1 if one stays.

    The job `expire` in Dagster does the same each night.
    """
    from footfall.settings import load_settings
    from footfall.stack import open_database
    from warehouse.archive import expire as archive_expire

    settings = load_settings(home)
    with open_database(settings) as database_url:
        expiry = archive_expire.expire(
            database_url,
            settings.warehouse_path,
            archive_address=settings.archive_address,
            dry_run=dry_run,
            wait_seconds=WAIT_SECONDS,
        )
    _print_expiry(expiry, dry_run)
    if expiry.failure:
        typer.echo(f"it ended before all days had their turn: {expiry.failure}", err=True)
    raise typer.Exit(1 if expiry.stays or expiry.failure else 0)


@app.command()
def restore(
    days: Annotated[list[str], typer.Argument(metavar="DAY…", help="Days of receipt (UTC), as 2026-01-31.")],
    table: Annotated[str | None, typer.Option("--table", help="Only this table; else all that have the days.")] = None,
    into: Annotated[
        str,
        typer.Option(
            "--into", metavar="postgres|duckdb|FILE", help="FILE ends in .parquet, .csv (one table) or .duckdb."
        ),
    ] = "postgres",
    home: Home = None,
) -> None:
    """Bring sealed days back, after reading their files; rows that are there already are left, so none comes twice."""
    from footfall.settings import load_settings
    from footfall.stack import open_database
    from warehouse.archive.restore import chosen
    from warehouse.archive.restore_file import restore_into_file, restored_path
    from warehouse.archive.restore_postgres import restore_into_postgres
    from warehouse.archive.store import open_archive

    wanted, table = _days(days), _event_table(table)
    settings = load_settings(home)
    archive = open_archive(settings.archive_address, settings.warehouse_path)
    held = chosen(settings.warehouse_path, archive, wanted, table, wait_seconds=WAIT_SECONDS)
    if into == "postgres":
        with open_database(settings) as database_url, held as files:
            _print_restored(restore_into_postgres(database_url, archive, files))
        age_days = (datetime.now(UTC).date() - min(wanted)).days
        typer.echo(
            "the next expire takes them away again, and until then a check may warn of them, unless archive_after_days "
            f"is more than {age_days}: `footfall settings set archive_after_days N`"
        )
        return
    path = restored_path(settings.published_path) if into == "duckdb" else Path(into).expanduser().absolute()
    with held as files:
        _require_nobody_half_erased(settings)
        _print_restored(restore_into_file(path, archive, files))
    opened = f'`duckdb -readonly {path}`, or `duckdb.connect("{path}", read_only=True)` in Python'
    typer.echo(f"in {path}" + (f": open it with {opened}" if path.suffix == ".duckdb" else ""))


def _days_in_postgres(settings: "Settings") -> set[tuple[str, date]] | None:
    from warehouse.archive.detach import partitions_in

    partitions = _ask_postgres(settings, partitions_in, "which of these days Postgres still has")
    return None if partitions is None else {(one.table_name, one.day) for one in partitions}


def _require_nobody_half_erased(settings: "Settings") -> None:
    from warehouse.archive.restore_postgres import require_nobody_half_erased

    _ask_postgres(settings, require_nobody_half_erased, "whether somebody is half erased, who would be in the file")


def _ask_postgres(settings: "Settings", ask: Callable[[str], Answer], what: str) -> Answer | None:
    """Ask Postgres, and start none for it; None, and a line on stderr, where it does not answer."""
    from footfall.postgres import is_running
    from footfall.stack import open_database
    from warehouse.errors import ErasureUnfinished, WarehouseError

    reason = "the embedded Postgres does not run (`footfall up` starts it)"
    if settings.database_url or is_running(settings.home / "postgres"):
        try:
            with open_database(settings) as database_url:
                return ask(database_url)
        except ErasureUnfinished:
            raise
        except WarehouseError as error:
            reason = str(error)
    typer.echo(f"it is not known {what}: {reason}", err=True)
    return None


def _days(given: Sequence[str]) -> list[date]:
    if wrong := [day for day in given if not _is_day(day)]:
        typer.echo(f"{wrong[0]!r} is not a day like 2026-01-31", err=True)
        raise typer.Exit(2)
    return [date.fromisoformat(day) for day in given]


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _event_table(name: str | None) -> str | None:
    from warehouse.tables import EVENT_TABLES

    if name not in {None, *EVENT_TABLES}:
        typer.echo(f"{name!r} is not one of {', '.join(EVENT_TABLES)}", err=True)
        raise typer.Exit(2)
    return name


def _print_expiry(expiry: "Expiry", dry_run: bool) -> None:
    from rich.console import Console
    from rich.table import Table

    if expiry.expired:
        table = Table("day", "table", "rows", "bytes")
        for number in (2, 3):
            table.columns[number].justify = "right"
        for one in expiry.expired:
            table.add_row(str(one.day), one.table_name, f"{one.row_count:,}", f"{one.byte_count:,}")
        Console().print(table)
    for stays in expiry.stays:
        typer.echo(str(stays))
    rows, size = (sum(getattr(one, name) for one in expiry.expired) for name in ("row_count", "byte_count"))
    left = "would leave" if dry_run else "left"
    typer.echo(
        f"{len(expiry.expired)} days of tables {left} Postgres, which keeps {expiry.keep_days} days: "
        f"{rows:,} rows, {size:,} bytes; {len(expiry.stays)} stay that are due"
    )


def _print_restored(restored: "Sequence[RestoredDay]") -> None:
    for one in restored:
        there = one.row_count - one.written_row_count
        typer.echo(
            f"{one.table_name} of {one.day}: {one.written_row_count:,} rows restored, {there:,} were there already"
        )
