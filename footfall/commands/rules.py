"""`footfall rules list|set|remove`."""

from typing import TYPE_CHECKING, Annotated

import typer

from footfall.commands.actor import actor
from footfall.commands.options import Home

if TYPE_CHECKING:
    from ingest_app.rewards.rules import Rule

app = typer.Typer(help="Rules by which tracking events earn their users points.", no_args_is_help=True)

EventType = Annotated[
    str, typer.Argument(metavar="EVENT_TYPE", help="visit, button, document or session.", show_default=False)
]
EventName = Annotated[str, typer.Argument(metavar="EVENT_NAME", help="Exactly as apps send it.", show_default=False)]


@app.command("list")
def list_(home: Home = None) -> None:
    """Print all rules, and whether anything is earned at all."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from footfall.settings import load_settings
    from footfall.stack import open_current
    from ingest_app.admin_settings import read_settings
    from ingest_app.rewards.rules import list_rules

    table = Table("id", "event type", "event name", "points", "daily cap", "active", "made", "changed")
    with open_current(load_settings(home)) as connection:
        for row in list_rules(connection):
            numbers = str(row.points), "none" if row.daily_cap is None else str(row.daily_cap)
            times = (f"{time:%Y-%m-%d %H:%M}" for time in (row.created_at, row.updated_at))
            table.add_row(
                str(row.id), row.event_type, escape(row.event_name), *numbers, "yes" if row.active else "no", *times
            )
        is_off = read_settings(connection).get("points_enabled") == "0"
    if table.row_count:
        Console().print(table)
    else:
        typer.echo("no event earns points: `footfall rules set button press 10` makes a rule")
    if is_off:
        typer.echo("nothing is earned now: points_enabled is 0")


@app.command("set", epilog="Example: footfall rules set button quiz_done 10 --daily-cap 50")
def set_(
    event_type: EventType,
    event_name: EventName,
    points: Annotated[int, typer.Argument(metavar="POINTS", help="What one event earns.", show_default=False)],
    daily_cap: Annotated[
        int | None,
        typer.Option(
            metavar="POINTS", help="The most a user earns by this rule in a UTC day; without it there is no end."
        ),
    ] = None,
    inactive: Annotated[
        bool, typer.Option("--inactive", help="Keep the rule, but let nothing be earned by it.")
    ] = False,
    home: Home = None,
) -> None:
    """Make or replace the rule for an event, from now on; who did it is kept in `admin_audit_log`.

    Events of guests, of bots, without user_id, and of before the rule was made earn nothing.
    """
    from footfall.settings import load_settings
    from footfall.stack import open_current
    from ingest_app.errors import RuleRefused
    from ingest_app.rewards.rules import Rule, check, set_rule

    rule = Rule(event_type, event_name, points, daily_cap, not inactive)
    try:
        check(rule)
    except RuleRefused as error:
        # wrong usage: one line, exit 2, and no database is asked
        typer.echo(f"footfall: {error}", err=True)
        raise typer.Exit(2) from error
    with open_current(load_settings(home)) as connection:
        old = set_rule(connection, rule, actor())
    if old == rule:
        typer.echo(f"{rule.subject} earns {_terms(rule)} already")
    else:
        typer.echo(f"{rule.subject} now earns {_terms(rule)}; {f'was {_terms(old)}' if old else 'had no rule'}")


@app.command(epilog="Example: footfall rules remove button quiz_done")
def remove(event_type: EventType, event_name: EventName, home: Home = None) -> None:
    """Remove a rule; points that were earned by it stay. Made again it is another rule, with a cap of its own."""
    from footfall.errors import NoSuchRule
    from footfall.settings import load_settings
    from footfall.stack import open_current
    from ingest_app.rewards.rules import remove_rule

    with open_current(load_settings(home)) as connection:
        old = remove_rule(connection, event_type, event_name, actor())
    if old is None:
        raise NoSuchRule(f"{event_type} {event_name}")
    typer.echo(f"{old.subject} earns nothing any more; was {_terms(old)}")


def _terms(rule: "Rule") -> str:
    """Say what an event earns."""
    points = "1 point" if rule.points == 1 else f"{rule.points} points"
    cap = "" if rule.daily_cap is None else f", at most {rule.daily_cap} a day"
    return f"{points}{cap}" if rule.active else f"{points}{cap} (inactive)"
