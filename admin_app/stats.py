"""The stats API: every aggregation of the first seed under its own name, those of now from Postgres.

Nothing is counted here: `history.py` has read the published file already, `live.py` has asked Postgres.
"""

from datetime import UTC, datetime, timedelta

from flask import Blueprint, Response
from msgspec import Struct, structs

from admin_app.answers import answer
from admin_app.history import History
from admin_app.sources import sources

blueprint = Blueprint("stats", __name__)

# three refreshes and a little
STALE_HISTORY = timedelta(minutes=15)


class AsOf(Struct, frozen=True, forbid_unknown_fields=True):
    """When it was so (UTC): `live` for what is now, `history` for the rest; null where nothing is known yet."""

    live: datetime | None
    history: datetime | None


class Stats(History, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The aggregations of the first seed. `activeUsersNow` and `visitorsNow` are live, null is what is not known yet.

    `stale`: Postgres does not answer, or the last refresh is more than a quarter of an hour old.
    """

    as_of: AsOf
    stale: bool


@blueprint.get("/api/stats")
def get_stats() -> Response:
    """Answer every aggregation of the first seed."""
    return answer(read_stats())


def read_stats() -> Stats:
    """Put together what is known: neither file nor Postgres is asked anything."""
    file, live = sources().published.current, sources().live
    # one reading of it: the next sample may come in between
    now = live.latest
    values = structs.asdict(file.history if file else History())
    loaded_at = file.loaded_at if file else None
    if now:
        values |= {"active_users_now": now.active_users_now, "visitors_now": now.visitors_now}
    as_of = AsOf(live=now.as_of if now else loaded_at, history=loaded_at)
    return Stats(**values, as_of=as_of, stale=live.is_stale or is_old(loaded_at))


def is_old(loaded_at: datetime | None) -> bool:
    """Tell whether history is older than it should be."""
    return loaded_at is not None and datetime.now(UTC) - loaded_at > STALE_HISTORY
