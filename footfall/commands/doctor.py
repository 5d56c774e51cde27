"""`footfall doctor`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from footfall.commands.actor import actor
from footfall.commands.options import Home

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from footfall.doctor import Finding


def doctor(
    mend_balances: Annotated[
        bool,
        typer.Option(
            "--mend-balances",
            help="First set balances of points and credits that differ from their log to what it adds up to.",
        ),
    ] = False,
    home: Home = None,
) -> None:
    """Check tables, columns, settings, ledger, partitions, spool, rejects, warehouse, disk; exit 1 if any is wrong."""
    from footfall.doctor import checklist, health
    from footfall.settings import load_settings
    from footfall.stack import open_engine
    from ingest_app.database import connect
    from ingest_app.migrate import require_current
    from pipelines.jobs import SCHEDULES

    settings = load_settings(home)
    cron = next((str(one.cron_schedule) for one in SCHEDULES if one.job_name == "cleanup_live_sessions"), None)
    with open_engine(settings) as engine, connect(engine) as connection:
        require_current(connection)
        if mend_balances:
            _mend(connection)
        typer.echo("The checklist of the specification:")
        all_well = _print(checklist(connection, cron))
        typer.echo("And beyond it:")
        all_well = _print(health(connection, settings)) and all_well
    raise typer.Exit(0 if all_well else 1)


def _mend(connection: "Connection") -> None:
    from footfall.ledger import mend_balances

    mended = list(mend_balances(connection, actor()))
    connection.commit()
    for was in mended:
        typer.echo(f"{was}: mended")


def _print(findings: "Iterable[Finding]") -> bool:
    all_well = True
    for finding in findings:
        all_well = all_well and finding.is_well
        advice = "" if finding.is_well else f" -> {finding.advice}"
        typer.echo(f"  [{'x' if finding.is_well else ' '}] {finding.item}: {finding.found}{advice}")
    return all_well
