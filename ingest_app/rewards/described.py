"""Points and credits as OpenAPI: their paths, and the types of their answers, stated once more and closed.

What is valid in a body stands in `moves.py`, in a query in `history.py`; how a document is written, in `openapi.py`.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from ingest_app import openapi
from ingest_app.openapi import Json
from ingest_app.rewards.history import MOST_ROWS
from ingest_app.rewards.moves import MOVES, Move


class Earned(Struct, forbid_unknown_fields=True):
    """The log row, and the balance after it."""

    log_id: int
    user_id: int
    points: int


class Redeemed(Struct, forbid_unknown_fields=True):
    """The log row, both balances after it, and what went and came."""

    log_id: int
    user_id: int
    points: int
    credits: int
    points_consumed: int
    credits_added: int


class Spent(Struct, forbid_unknown_fields=True):
    """The row of the log of credits, and the balance after it."""

    log_id: int
    user_id: int
    credits: int


class Reversed(Struct, forbid_unknown_fields=True):
    """The log row, the one that it undoes, and both balances after it."""

    log_id: int
    reverses_id: int
    user_id: int
    points: int
    credits: int


class Balance(Struct, forbid_unknown_fields=True):
    """What a user has; `updated_at` is null where nothing ever moved."""

    user_id: int
    points: int
    credits: int
    updated_at: datetime | None


class BalanceAt(Struct, forbid_unknown_fields=True):
    """What a user had at a time."""

    user_id: int
    points: int
    credits: int
    at: datetime


class PointLog(Struct, forbid_unknown_fields=True):
    """One move of points, with what it undoes and why, its event and rule, and the credits that moved with it."""

    log_id: int
    action: Literal["earn", "redeem"]
    points: int
    related_event: str | None
    created_at: datetime
    reverses_id: int | None
    reason: str | None
    event_id: UUID | None
    rule_id: int | None
    credits_added: int | None
    points_consumed: int | None


class CreditLog(Struct, forbid_unknown_fields=True):
    """One move of credits; `point_log_id` is null where they were spent."""

    log_id: int
    credits_added: int
    points_consumed: int
    point_log_id: int | None
    created_at: datetime


class PointLogs(Struct, forbid_unknown_fields=True):
    """A page of moves of points, newest first; `next_before` asks for the next page, null where there is none."""

    user_id: int
    logs: list[PointLog]
    next_before: int | None


class CreditLogs(Struct, forbid_unknown_fields=True):
    """A page of moves of credits, likewise."""

    user_id: int
    logs: list[CreditLog]
    next_before: int | None


ANSWERS: dict[str, type[Struct]] = {
    "points/earn": Earned,
    "points/redeem": Redeemed,
    "credits/spend": Spent,
    "points/reverse": Reversed,
}
MOVE_REFUSALS = ("400", "401", "403", "404", "409", "413", "415", "429", "503")
READ_REFUSALS = ("400", "401", "403", "404", "429", "503")


def describe() -> openapi.Others:
    """Describe each address, and name the types of bodies and answers."""
    bodies = [move.record for move in MOVES.values()]
    return openapi.Others(dict(_paths()), [*bodies, *ANSWERS.values(), Balance, BalanceAt, PointLogs, CreditLogs])


def _paths() -> Iterator[tuple[str, Json]]:
    for name, move in MOVES.items():
        yield f"/api/{name}", {"post": _move(move)}
    yield "/api/points/{user_id}", {"get": _read("What a user has, or had at a time", [_AT], Balance, BalanceAt)}
    yield "/api/points/{user_id}/logs", {"get": _read("The moves of a user's points", _PAGE, PointLogs)}
    yield "/api/credits/{user_id}/logs", {"get": _read("The moves of a user's credits", _PAGE, CreditLogs)}


def _move(move: Move) -> Json:
    made = openapi.answer(move.record.__doc__ or "", ANSWERS[move.name].__name__)
    return {
        "summary": f"Post {move.name}",
        "description": move.record.__doc__,
        "operationId": f"post-{move.name.replace('/', '-')}",
        "security": openapi.security(),
        "parameters": [_IDEMPOTENCY_KEY],
        "requestBody": openapi.body({"$ref": openapi.SCHEMAS + move.record.__name__}),
        "responses": {"200": made | {"headers": _REPLAYED}} | openapi.refused_by(*MOVE_REFUSALS),
    }


def _read(summary: str, parameters: list[Json], *answers: type[Struct]) -> Json:
    schemas = [{"$ref": openapi.SCHEMAS + answer.__name__} for answer in answers]
    found = {"description": summary, "content": {"application/json": {"schema": {"anyOf": schemas}}}}
    return {
        "summary": summary,
        "operationId": "get-" + answers[0].__name__.lower(),
        "security": openapi.security(),
        "parameters": [_USER_ID, *parameters],
        "responses": {"200": found} | openapi.refused_by(*READ_REFUSALS),
    }


def _number(largest: int, least: int = 1) -> Json:
    return {"type": "integer", "minimum": least, "maximum": largest}


_IDEMPOTENCY_KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "description": "A new one for each move, the same one if a move is sent again: it is made once",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}
_REPLAYED: Json = {
    "Idempotency-Replayed": {
        "description": "There where the move was made before, and this is what was answered then",
        "schema": {"type": "string", "enum": ["true"]},
    }
}
_USER_ID: Json = {"name": "user_id", "in": "path", "required": True, "schema": _number(2**63 - 1, 0)}
_AT: Json = {
    "name": "at",
    "in": "query",
    "description": "A time with its zone, as in RFC 3339; a plus sign is written %2B",
    "schema": {"type": "string", "format": "date-time"},
}
_PAGE: list[Json] = [
    {"name": "limit", "in": "query", "schema": _number(MOST_ROWS) | {"default": 100}},
    {"name": "before", "in": "query", "description": "Rows before this `log_id`", "schema": _number(2**63 - 1)},
]
