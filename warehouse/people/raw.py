"""A person's rows in `warehouse.duckdb`: removed in one transaction, and their days noted, so that they are built anew.

The caller holds the writer lock. Hot files of the lake are rows of `warehouse.duckdb` here. Sealed files are
`archive.py`; of the marts a refresh makes others.
"""

from collections.abc import Iterable, Iterator

import duckdb
import psycopg

from warehouse.archive.manifest import known_files
from warehouse.archive.store import Archive
from warehouse.connection import literal, transaction
from warehouse.lake.files import remove_exported
from warehouse.lake.hot import is_in_lake, remove_unnamed
from warehouse.lake.removal import remove_hot_rows
from warehouse.people.erasures import Erasure, note_before, note_behind
from warehouse.people.holdings import BY_TABLE
from warehouse.people.matching import NOBODY, NOBODYS, holding_condition, nobodys_in_sessions
from warehouse.people.postgres import BALANCES, DayCounts
from warehouse.people.subject import Person
from warehouse.queries import people_query
from warehouse.tables import EVENT_TABLES, TABLES
from warehouse.touched import touch_table

STORE = "warehouse.duckdb"
LOGS = {"user_point_logs": "point_logs_raw", "user_credit_logs": "credit_logs_raw"}


def find_sessions(warehouse: duckdb.DuckDBPyConnection, user_id: int) -> set[str]:
    """Find the sessions that rows of a user name, hot and sealed."""
    return _sessions(warehouse, "sessions_of", user_id=user_id)


def sessions_of_others(warehouse: duckdb.DuckDBPyConnection, user_id: int, sessions: Iterable[str]) -> set[str]:
    """Find which of these sessions rows of other users name."""
    listed = ", ".join(map(literal, sorted(sessions)))
    return _sessions(warehouse, "sessions_of_others", user_id=user_id, sessions=listed) if listed else set()


def session_addresses(warehouse: duckdb.DuckDBPyConnection, sessions: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield a session of these with an address's hash, and again with another if its rows name several."""
    if listed := ", ".join(map(literal, sorted(sessions))):
        query = people_query("session_addresses").format(table="sources.tracking_events", sessions=listed)
        for session, least, greatest in warehouse.execute(query).fetchall():
            yield from ((session, least), (session, greatest))


def count_nobodys(warehouse: duckdb.DuckDBPyConnection, person: Person, schema: str = "sources") -> int:
    """Count the rows without a user id in sessions of the person; of `sources`, sealed ones too."""
    return _count(warehouse, f"{schema}.tracking_events", nobodys_in_sessions(person, "duckdb"))


def count_late(warehouse: duckdb.DuckDBPyConnection, person: Person) -> DayCounts:
    """Count, for each day of an event table that has sealed files, the person's rows that came after it was sealed."""
    counts = {(file.table_name, file.day): 0 for file in known_files(warehouse)}
    for table, found in raw_conditions(person):
        if table in EVENT_TABLES:
            days = people_query("count_by_day").format(table=table, condition=found)
            counts |= {(table, day): n for day, n in warehouse.execute(days).fetchall() if (table, day) in counts}
    return counts


def remove(
    warehouse: duckdb.DuckDBPyConnection, archive: Archive, connection: psycopg.Connection, erasure: Erasure
) -> None:
    """Delete or give a pseudonym to all raw rows of the person, those in hot files too; note what that was."""
    conditions = dict(raw_conditions(erasure.person))
    counts = {table: _count(warehouse, f"raw.{table}", found) for table, found in conditions.items()}
    counts[NOBODYS] = count_nobodys(warehouse, erasure.person, "raw")
    note_before(connection, erasure, STORE, {table: count for table, count in counts.items() if count})
    with transaction(warehouse):
        _remove(warehouse, archive, erasure, conditions)
    # what files there were with the person, also of a run that was killed, and what is exported anew
    remove_unnamed(warehouse, archive)
    remove_exported(archive)
    note_behind(connection, erasure, STORE)


def raw_conditions(person: Person) -> Iterator[tuple[str, str]]:
    """Write for each raw table that can have rows of the person which they are."""
    for table in TABLES:
        found = holding_condition(BY_TABLE[table.name], person, "duckdb")
        if found != NOBODY:
            yield table.name, found


def _remove(
    warehouse: duckdb.DuckDBPyConnection, archive: Archive, erasure: Erasure, conditions: dict[str, str]
) -> None:
    ids = {"user_id": erasure.person.user_id, "pseudonym": erasure.pseudonym}
    for table in TABLES:
        found = conditions.get(table.name, NOBODY)
        if found == NOBODY:
            continue
        _touch(warehouse, table.name, table.kind, found)
        if table.name in LOGS:
            warehouse.execute(people_query(LOGS[table.name]).format(**ids))
        elif table.name in BALANCES:
            amount, _ = BALANCES[table.name]
            warehouse.execute(people_query("balance_raw").format(table=table.name, amount=amount, **ids))
        elif table.kind == "event" and is_in_lake(warehouse, table.name):
            remove_hot_rows(warehouse, archive, table.name, found, reason=erasure.mark)
        else:
            warehouse.execute(people_query("delete_raw").format(table=table.name, condition=found))
    if erasure.person.account_id is not None:
        unlinked = people_query("unlink_raw").format(account_id=erasure.person.account_id)
        if warehouse.execute(unlinked).fetchall()[0][0]:
            touch_table(warehouse, "users")


def _touch(warehouse: duckdb.DuckDBPyConnection, table: str, kind: str, found: str) -> None:
    """Note what is to be built anew; of events also the sealed ones, whose files are written anew after this."""
    if kind != "state":
        source = f"sources.{table}" if kind == "event" else f"raw.{table}"
        warehouse.execute(people_query("touch_sources").format(table=table, source=source, condition=found))
    elif _count(warehouse, f"raw.{table}", found):
        touch_table(warehouse, table)


def _sessions(warehouse: duckdb.DuckDBPyConnection, query: str, **parts: object) -> set[str]:
    return {
        session
        for table in ("sources.tracking_events", "raw.tracking_live_sessions")
        for (session,) in warehouse.execute(people_query(query).format(table=table, **parts)).fetchall()
    }


def _count(warehouse: duckdb.DuckDBPyConnection, table: str, found: str) -> int:
    row = warehouse.execute(people_query("count").format(table=table, condition=found)).fetchone()
    return int(row[0]) if row else 0
