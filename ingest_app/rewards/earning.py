"""What events earn by the rules, in the transaction that drains them. SQL: `earning.sql`; setting rules: `rules.py`.

Who earns what is decided by Postgres; matches go through here as JSON text that nobody reads. In this order: the
matches are found once, so that a rule that changes meanwhile changes nothing; the balances of all their users are
locked in the order of user ids, so that two drainers never wait for each other in a circle; only then, in a statement
of its own that sees what was committed while it waited, today's points are counted and the new ones given.
"""

import logging
from typing import Any

from sqlalchemy import Connection, CursorResult

from ingest_app.rewards.statements import read_statements

# the kind of records that may earn
REWARDED_KIND = "events"

log = logging.getLogger(__name__)


def earn_by_rules(connection: Connection) -> int:
    """Give what the tracking events of the caller's transaction earn, and return how many points.

    Called again in the same transaction it gives nothing twice. An event that would take a balance over what it can
    hold earns nothing, which the log says, nor does what its user would earn after it in this batch.
    """
    if not _ask(connection, "is_earning").scalar_one():
        return 0
    matches = _ask(connection, "find_matches").scalar_one()
    if matches is None:
        return 0
    _ask(connection, "lock_balances", matches)
    given = _ask(connection, "give", matches).one()
    if given.too_large:
        log.warning("%d events earned nothing: a balance holds no more points", given.too_large)
    return int(given.points)


def _ask(connection: Connection, name: str, matches: str | None = None) -> CursorResult[Any]:
    statement = read_statements("earning.sql")[name].decode()
    return connection.exec_driver_sql(statement, None if matches is None else {"matches": matches})
