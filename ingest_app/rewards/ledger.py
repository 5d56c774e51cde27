"""Makes moves of points and credits: each whole or not at all, and once for a key. No HTTP; the SQL is `moves.sql`."""

import hashlib
import logging
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
import psycopg
from msgspec import structs
from psycopg import errors

from ingest_app.records import Record
from ingest_app.rewards.errors import (
    AlreadyReversed,
    BalanceTooLarge,
    IsAReversal,
    KeyReused,
    LedgerUnavailable,
    MoveRefused,
    NoPrice,
    NotEnough,
    NotEnoughCredits,
    NotEnoughPoints,
    NotReversible,
    PointsDisabled,
    UnknownLog,
    UnknownUser,
)
from ingest_app.rewards.moves import Move
from ingest_app.rewards.statements import Statements, numbered_statements

# each turn means that somebody else's move was made meanwhile: on one user, with many who ask, that is no fault
MOST_TURNS = 100
REFUSALS: dict[str, type[MoveRefused]] = {
    error.code: error
    for error in (PointsDisabled, UnknownUser, UnknownLog, IsAReversal, AlreadyReversed, NotReversible)
} | {"no_price": NoPrice}
SHORTAGES: dict[str, type[NotEnough]] = {error.code: error for error in (NotEnoughPoints, NotEnoughCredits)}
OVERTAKEN = b"overtaken"
# the same key, or a reversal of the same row, at the same moment; or credits that went meanwhile
OVERTAKING = {"idempotency_keys_pkey", "user_point_logs_reverses_id_idx", "user_credits_credits_check"}
NO_CREDITS_LEFT = ("user_credit_logs", "created_at")

log = logging.getLogger(__name__)


class Found(NamedTuple):
    """What a statement of `moves.sql` says: an answer, of before where there is a `stored_hash`; or a refusal."""

    status: bytes | None
    answer: bytes | None
    stored_hash: bytes | None
    refusal: bytes | None
    held: bytes | None
    needed: bytes | None


@dataclass(frozen=True, slots=True)
class Made:
    """What a move is answered; `is_replay` where it was made before."""

    status: int
    body: bytes
    is_replay: bool


def make_move(statements: Statements, move: Move, record: Record, app_name: str, idempotency_key: str) -> Made:
    """Make a move, unless the key's was made before: then give its answer.

    Raises MoveRefused, by which nothing is written; LedgerUnavailable where it may have been made, or not.
    """
    request_hash = _hash(move, record)
    known = {"app_name": app_name, "idempotency_key": idempotency_key, "request_hash": request_hash}
    found = _ask(statements, move, structs.asdict(record) | known)
    if found.answer is None:
        # the client may have lost patience with the very same request, which waits for a balance and may still be made
        statements.move(numbered_statements("moves.sql")["await_twins"], known)
        found = _ask(statements, move, structs.asdict(record) | known)
    if found.answer is None:
        raise _refusal(found, move.field)
    if found.stored_hash not in {None, request_hash.encode()}:
        raise KeyReused
    return Made(int(found.status or 0), found.answer, is_replay=found.stored_hash is not None)


def _ask(statements: Statements, move: Move, values: dict[str, Any]) -> Found:
    """Ask until there is an answer, or a refusal that was true at one moment, with no other move in between."""
    statement = numbered_statements("moves.sql")[move.statement]
    is_too_large = False
    for _ in range(MOST_TURNS):
        try:
            found = Found(*statements.move(statement, values))
        except errors.NumericValueOutOfRange:
            # the first time it may be by this very move, made at the same moment by another with the same key
            if is_too_large:
                raise BalanceTooLarge(move.field) from None
            is_too_large = True
        except psycopg.IntegrityError as error:
            if not _is_overtaken(error):
                raise
            log.info("a move is asked for again: %s", error.diag.constraint_name)
        else:
            if found.answer is not None or found.refusal != OVERTAKEN:
                return found
    raise LedgerUnavailable


def _is_overtaken(error: psycopg.IntegrityError) -> bool:
    """Tell whether another move came between: any other constraint that does not hold is a fault."""
    if isinstance(error, errors.NotNullViolation):
        return (error.diag.table_name, error.diag.column_name) == NO_CREDITS_LEFT
    return error.diag.constraint_name in OVERTAKING


def _refusal(found: Found, field: str) -> MoveRefused:
    refusal = (found.refusal or b"").decode()
    if refusal in SHORTAGES:
        return SHORTAGES[refusal](field, int(found.held or 0), int(found.needed or 0))
    return REFUSALS[refusal]()


def _hash(move: Move, record: Record) -> str:
    """Hash what is asked for and not its bytes: white space and the order of fields do not matter."""
    return hashlib.sha256(move.name.encode() + b"\n" + msgspec.json.encode(record)).hexdigest()
