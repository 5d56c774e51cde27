"""The moves of points and credits: for each its endpoint's name, the record that asks for it, and its statement.

What a move does is in `moves.sql`; who asks Postgres, `ledger.py`. Defaults are left out where a record is written as
JSON, so that a field that comes to it later does not make stored keys ones of other requests.
"""

from dataclasses import dataclass
from typing import Annotated

from msgspec import Meta

from ingest_app.records import Record, Text100, Text200, UserId
from ingest_app.rewards.errors import LARGEST_BALANCE

Amount = Annotated[int, Meta(ge=1, le=LARGEST_BALANCE)]
LogId = Annotated[int, Meta(ge=1, le=2**63 - 1)]


class Earn(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A user earned points; the first ones make the balance."""

    user_id: UserId
    points: Amount
    related_event: Text100 | None = None


class Redeem(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A user buys credits for points, at the price that `points_per_credit` is now."""

    user_id: UserId
    credits: Amount


class Spend(Record, frozen=True, kw_only=True, omit_defaults=True):
    """A user spends credits."""

    user_id: UserId
    credits: Amount


class Reverse(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One earn or redeem was a mistake: it is undone, once, by a row of its own."""

    log_id: LogId
    reason: Text200


@dataclass(frozen=True, slots=True)
class Move:
    """One kind of move. `field` is what of its record may be too much."""

    name: str
    record: type[Record]
    statement: str
    field: str


MOVES = {
    move.name: move
    for move in (
        Move("points/earn", Earn, "earn", "points"),
        Move("points/redeem", Redeem, "redeem", "credits"),
        Move("credits/spend", Spend, "spend", "credits"),
        Move("points/reverse", Reverse, "reverse", "log_id"),
    )
}
