"""`footfall trace`."""

import json
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from footfall.commands.options import Home

if TYPE_CHECKING:
    from footfall.stations import Station


def trace(
    event_id: Annotated[UUID, typer.Argument(metavar="EVENT_ID", help="As the 202 named it, or the app sent it.")],
    as_json: Annotated[bool, typer.Option("--json", help="The same for programs, as one JSON object.")] = False,
    home: Home = None,
) -> None:
    """Say where an event is: a line a station, from the spool to the reports and the archive; exit 1 if nowhere.

    Places that do not answer are named, and the others tell what they know.
    """
    from footfall.settings import read_settings
    from footfall.stations import is_known, stations
    from footfall.tracing import trace as trace_event

    found = stations(trace_event(read_settings(home), event_id))
    if as_json:
        listed = [station.as_json() for station in found]
        answer = {"event_id": str(event_id), "is_known": is_known(found), "stations": listed}
        typer.echo(json.dumps(answer, ensure_ascii=False, indent=2))
    else:
        _print(found)
    if not is_known(found):
        raise typer.Exit(1)


def _print(found: "list[Station]") -> None:
    table = None
    for station in found:
        if station.table_name not in {None, table}:
            table = station.table_name
            typer.echo(table)
        typer.echo(f"  {station.station:<10} {station.words}")
        for reason in station.details.get("reasons", ()):
            typer.echo(f"  {'':<10} - {reason}")
