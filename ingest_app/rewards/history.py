"""What the ledger tells of a user: the balance now or at any time, and the log. The SQL is `history.sql`."""

from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta

from ingest_app.records import Record, Time
from ingest_app.rewards.errors import UnknownUser
from ingest_app.rewards.moves import LogId
from ingest_app.rewards.statements import Statements, read_statements

Json = dict[str, Any]
MOST_ROWS = 1_000


class Moment(Record, frozen=True, kw_only=True):
    """Of which time a balance is asked for; else of now."""

    at: Time | None = None


class Page(Record, frozen=True, kw_only=True):
    """Which rows of a log are asked for: the newest, or those before a row."""

    limit: Annotated[int, Meta(ge=1, le=MOST_ROWS)] = 100
    before: LogId | None = None


def read_balance(statements: Statements, user_id: int) -> Json:
    """Return what a user has now. Raises UnknownUser, LedgerUnavailable, as do all here."""
    found = _ask_one(statements, "balance", user_id)
    return {"user_id": user_id, **found}


def read_balance_at(statements: Statements, user_id: int, at: datetime) -> Json:
    """Return what a user had at a time, added up from the log: whole moves, that of the same microsecond too."""
    found = _ask_one(statements, "balance_at", user_id, at=at.isoformat())
    return {"user_id": user_id, **found, "at": at.astimezone(UTC)}


def read_logs(statements: Statements, log: str, user_id: int, page: Page) -> Json:
    """Return a page of `point_logs` or `credit_logs`, newest first; `next_before` asks for the next one."""
    # one more than is shown tells whether there is a next page
    rows = _ask(statements, log, user_id, before=page.before, limit=page.limit + 1)
    if not rows:
        read_balance(statements, user_id)
    shown = rows[: page.limit]
    return {"user_id": user_id, "logs": shown, "next_before": shown[-1]["log_id"] if len(rows) > len(shown) else None}


def _ask(statements: Statements, name: str, user_id: int, **values: object) -> list[Json]:
    return list(statements.read(read_statements("history.sql")[name], {"user_id": user_id, **values}))


def _ask_one(statements: Statements, name: str, user_id: int, **values: object) -> Json:
    (found,) = _ask(statements, name, user_id, **values)
    if not found.pop("is_known"):
        raise UnknownUser
    return found
