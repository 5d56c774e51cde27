"""The command `footfall`: puts the commands together and turns errors into one line and an exit code.

Exit code 0: done; 1: failed, with a clear line; 2: wrong usage. What a command does stands in `commands/`.
"""

import logging
import sys

import typer

from footfall.commands import (
    archive,
    demo,
    doctor,
    erase,
    export,
    importing,
    keys,
    migrate,
    query,
    refresh,
    rejected,
    rules,
    settings,
    status,
    trace,
    up,
    watch,
)
from footfall.errors import FootfallError
from ingest_app.errors import IngestError
from pipelines.errors import PipelineError
from warehouse.errors import WarehouseError

app = typer.Typer(
    name="footfall",
    help="Self-hosted product analytics and rewards: an accepted event is never lost.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("up")(up.up)
app.command("demo")(demo.demo)
app.command("migrate")(migrate.migrate)
app.command("doctor")(doctor.doctor)
app.command("status")(status.status)
app.command("watch")(watch.watch)
app.command("refresh")(refresh.refresh)
app.command("query")(query.query)
app.command("trace")(trace.trace)
app.command("erase")(erase.erase)
app.command("export")(export.export)
app.add_typer(keys.app, name="keys")
app.add_typer(settings.app, name="settings")
app.add_typer(rules.app, name="rules")
app.add_typer(rejected.app, name="rejected")
app.add_typer(archive.app, name="archive")
app.add_typer(importing.app, name="import")


def main() -> None:
    """Run the command line. An error that was foreseen is one line on stderr and exit code 1."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        app()
    except (FootfallError, IngestError, PipelineError, WarehouseError) as error:
        sys.stderr.write(f"footfall: {error}\n")
        sys.exit(1)
