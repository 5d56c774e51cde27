"""Who is erased or exported: the id that was given, and the person whom it belongs to. No SQL here."""

from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

Kind = Literal["user", "account"]


@dataclass(frozen=True, slots=True)
class Subject:
    """What was asked for: `user` with a bigint, or `account` with a uuid."""

    kind: Kind
    id: str

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def option(self) -> str:
        """Return it as the command line takes it."""
        return f"--{self.kind} {self.id}"


@dataclass(frozen=True, slots=True)
class Person:
    """All ids of one person. `session_ids` are sessions that only this person's rows name, and nobody else's.

    `notes` say, for the operator, how user and account hang together.
    """

    user_id: int | None = None
    account_id: UUID | None = None
    session_ids: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return what the erasure keeps while it is under way."""
        return {
            "user_id": self.user_id,
            "account_id": None if self.account_id is None else str(self.account_id),
            "session_ids": list(self.session_ids),
            "notes": list(self.notes),
        }


def person_from_json(kept: dict[str, Any]) -> Person:
    """Read it back."""
    account_id = kept["account_id"]
    return Person(
        kept["user_id"], UUID(account_id) if account_id else None, tuple(kept["session_ids"]), tuple(kept["notes"])
    )


def joined(one: Person, other: Person) -> Person:
    """Put together what was known of a person when the erasure began, and what is known now."""
    return Person(
        one.user_id if one.user_id is not None else other.user_id,
        one.account_id or other.account_id,
        tuple(sorted({*one.session_ids, *other.session_ids})),
        tuple(dict.fromkeys([*one.notes, *other.notes])),
    )
