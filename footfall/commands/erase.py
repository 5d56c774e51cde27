"""`footfall erase`."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

import typer

from footfall.commands.actor import actor
from footfall.commands.options import Home
from footfall.commands.subject import Account, User, the_subject

if TYPE_CHECKING:
    from warehouse.people.search import Found

LONGEST_REASON = 200


def erase(
    user: User = None,
    account: Account = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what is held where, and change nothing.")] = False,
    reason: Annotated[str, typer.Option(help="Kept with the certificate: name nobody in it.")] = "erasure",
    home: Home = None,
) -> None:
    """Remove a person from every store, search every store, and print a certificate; exit 1 if anything is left."""
    from footfall.commands.refresh import run_refresh
    from footfall.erasing import erase as erase_person
    from footfall.erasing import look
    from footfall.settings import load_settings
    from footfall.stack import open_database
    from warehouse.people.certificate import print_certificate, remedies

    subject = the_subject(user, account)
    if len(reason) > LONGEST_REASON:
        raise typer.BadParameter(f"a reason has at most {LONGEST_REASON} characters")
    settings = load_settings(home)
    with open_database(settings) as database_url:
        if dry_run:
            person, held = look(settings, database_url, subject)
            _print([*person.notes, *_listed(held)] or [f"nothing is held on {subject}"])
            return
        outcome = erase_person(
            settings, database_url, subject, lambda: run_refresh(settings, database_url), reason=reason, actor=actor()
        )
    if outcome.found:
        typer.echo(f"{subject} was found again (the command is `footfall erase {subject.option}`):")
        _print([*_listed(outcome.found), *remedies(outcome.found)])
        raise typer.Exit(1)
    if not outcome.certificate:
        typer.echo(f"nothing is held on {subject}")
        return
    _print(print_certificate(outcome.certificate, str(subject), outcome.person.notes))


def _listed(found: "Iterable[Found]") -> list[str]:
    return [f"{one}{', of others, whose text names the person' if one.is_others else ''}" for one in found]


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        typer.echo(line)
