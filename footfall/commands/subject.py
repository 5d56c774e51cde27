"""The options that say which person a command is about."""

from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

if TYPE_CHECKING:
    from warehouse.people.subject import Subject

User = Annotated[
    int | None, typer.Option("--user", metavar="ID", min=0, max=2**63 - 1, help="A user of the apps, by number.")
]
Account = Annotated[UUID | None, typer.Option("--account", metavar="ID", help="An account of the dashboard, by uuid.")]


def the_subject(user: int | None, account: UUID | None) -> "Subject":
    """Return the one that was named. Ends the command with exit code 2 where none was, or both."""
    from warehouse.people.subject import Subject

    if (user is None) == (account is None):
        raise typer.BadParameter("name one person: --user ID or --account ID")
    return Subject("account", str(account)) if user is None else Subject("user", str(user))
