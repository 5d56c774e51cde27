"""A person's rows in Postgres: whose ids and sessions they are, and their removal in one transaction. No DuckDB here.

Deletes in event tables go through all partitions, and through those that are leaving and not dropped yet.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from uuid import UUID

import psycopg
from psycopg import sql

from warehouse.archive.retention import partition_day
from warehouse.connection import literal
from warehouse.people.erasures import CHANGED, Erasure, asked_to, note
from warehouse.people.holdings import BY_TABLE, HOLDINGS
from warehouse.people.matching import (
    NOBODY,
    NOBODYS,
    body_names,
    holding_condition,
    keys_pattern,
    nobodys_in_sessions,
    words_pattern,
)
from warehouse.people.subject import Person, Subject
from warehouse.queries import filled_postgres_query, people_query
from warehouse.standing import PARTITIONED

DayCounts = Mapping[tuple[str, date], int]
"""Event table and day (UTC, of receipt) to a number of rows."""

STORE = "Postgres"
# nobody who writes waits for longer behind an erasure that waits for a lock
LOCK_TIMEOUT = "5s"
TRIES = 5
BALANCES = {"user_points": ("points", "user_point_logs"), "user_credits": ("credits", "user_credit_logs")}
LOGS = {"user_point_logs": "postgres_point_logs", "user_credit_logs": "postgres_credit_logs"}


def find_ids(connection: psycopg.Connection, subject: Subject) -> Person:
    """Tell who that is: a user and an account that link to each other alone are one person."""
    if subject.kind == "user":
        user_id = int(subject.id)
        found = connection.execute(people_query("postgres_account_of").encode(), [user_id]).fetchone()
        if found is None:
            return Person(user_id)
        account_id, users = found
        if users == 1:
            return Person(user_id, account_id, notes=(f"user {user_id} and account {account_id} are one person",))
        return Person(user_id, notes=(f"account {account_id} stays: {users - 1} more users link to it",))
    account_id = UUID(subject.id)
    linked = [row[0] for row in connection.execute(people_query("postgres_users_of").encode(), [account_id])]
    if len(linked) == 1:
        return Person(linked[0], account_id, notes=(f"user {linked[0]} and account {account_id} are one person",))
    notes = ("several users link to the account: they stay, and link to nobody",) if linked else ()
    return Person(None, account_id, notes=notes)


def find_sessions(connection: psycopg.Connection, user_id: int) -> set[str]:
    """Find the sessions that rows of a user name."""
    return _sessions(connection, "sessions_of", user_id=user_id)


def sessions_of_others(connection: psycopg.Connection, user_id: int, sessions: Iterable[str]) -> set[str]:
    """Find which of these sessions rows of other users name."""
    listed = ", ".join(map(literal, sorted(sessions)))
    return _sessions(connection, "sessions_of_others", user_id=user_id, sessions=listed) if listed else set()


def session_addresses(connection: psycopg.Connection, sessions: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield a session of these with an address's hash, and again with another if its rows name several."""
    if listed := ", ".join(map(literal, sorted(sessions))):
        for table in _event_tables(connection):
            query = people_query("session_addresses").format(table=table, sessions=listed)
            for session, least, greatest in connection.execute(query.encode()):
                yield from ((session, least), (session, greatest))


def count_nobodys(connection: psycopg.Connection, person: Person) -> int:
    """Count the rows without a user id in sessions of the person, which are the person's too."""
    found = nobodys_in_sessions(person, "postgres")
    queries = [people_query("count").format(table=table, condition=found) for table in _event_tables(connection)]
    return sum(row[0] for query in queries for row in connection.execute(query.encode()))


def remove(connection: psycopg.Connection, erasure: Erasure, sealed_days: DayCounts) -> None:
    """Delete or give a pseudonym to all rows of the person in one transaction; note how many, and of which tables.

    Rows that no sealed file has are counted in `intake_counts`; of the others the archive's manifest tells how many
    there were. `sealed_days` are the days that have files, with the number of the person's rows that came later.
    Raises PostgresQueryFailed; then nothing has changed.
    """
    with asked_to("remove a person's rows"):
        for tries_left in reversed(range(TRIES)):
            try:
                with connection.transaction():
                    connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'".encode())
                    counts = _remove(connection, erasure)
                    _count_erased(connection, counts.of_partitions, sealed_days)
                    note(connection, erasure, STORE, counts.by_table)
                    note(connection, erasure, CHANGED, dict.fromkeys(counts.changed, 1))
                return
            except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected):
                if not tries_left:
                    raise


def vacuum(connection: psycopg.Connection, erasure: Erasure) -> None:
    """Free the room of deleted rows, and let the planner forget their values; who writes goes on."""
    changed = [*erasure.certificate.get(CHANGED, {})]
    with asked_to("vacuum"):
        for table in [*changed, "erasures"]:
            connection.execute(f"VACUUM (ANALYZE, SKIP_LOCKED) {table}".encode())
        # what the planner knows of a table as a whole is not what it knows of its partitions
        for parent in PARTITIONED:
            if any(table.startswith(f"{parent}_p") for table in changed):
                connection.execute(f"ANALYZE (SKIP_LOCKED) {parent}".encode())


def detached_tables(connection: psycopg.Connection) -> dict[str, list[str]]:
    """Name for each event table the partitions that are detached, or half detached: it is not read with either."""
    query = filled_postgres_query("detached", names=sql.Literal(PARTITIONED))
    found: dict[str, list[str]] = {}
    for parent, partition, _ in connection.execute(query.encode()):
        found.setdefault(parent, []).append(partition)
    return found


class _Counts:
    """Rows by table, and the tables and partitions whose rows changed."""

    def __init__(self) -> None:
        self.by_table: dict[str, int] = {}
        self.changed: set[str] = set()
        # event table and partition
        self.of_partitions: Counter[tuple[str, str]] = Counter()

    def add(self, table: str, count: int, changed: Iterable[str] = ()) -> None:
        if count:
            self.by_table[table] = self.by_table.get(table, 0) + count
            self.changed.update(changed or [table])


def _remove(connection: psycopg.Connection, erasure: Erasure) -> _Counts:
    counts, person = _Counts(), erasure.person
    # balances first: whoever moves them waits, and then finds none of the person's
    if person.user_id is not None:
        _rename_in_ledger(connection, erasure, person.user_id, counts)
    _rename_in_audit_log(connection, erasure, counts)
    _delete_rejected(connection, person, counts)
    detached = detached_tables(connection)
    if nobodys := count_nobodys(connection, person):
        counts.by_table[NOBODYS] = nobodys
    for holding in HOLDINGS:
        if holding.action != "delete" or holding.table == "rejected_records":
            continue
        condition = holding_condition(holding, person, "postgres")
        for table in [holding.table, *detached.get(holding.table, [])]:
            _delete(connection, holding.table, table, condition, counts)
    if person.account_id is not None:
        unlinked = _run(connection, "postgres_unlink", account_id=person.account_id)
        counts.add("users, whose link was emptied", unlinked, ["users"])
    connection.execute(people_query("postgres_audit_erasure").encode(), [erasure.mark, erasure.id])
    return counts


def _delete(connection: psycopg.Connection, name: str, table: str, condition: str, counts: _Counts) -> None:
    if condition != NOBODY:
        query = people_query("postgres_delete").format(table=table, condition=condition)
        for partition, count in connection.execute(query.encode()):
            counts.add(name, count, [partition])
            counts.of_partitions[name, partition] += count


def _count_erased(
    connection: psycopg.Connection, counts: Mapping[tuple[str, str], int], sealed_days: DayCounts
) -> None:
    for (table, partition), count in sorted(counts.items()):
        day = partition_day(partition)
        unsealed = sealed_days.get((table, day), count) if day else 0
        if unsealed:
            connection.execute(people_query("postgres_count_erased").encode(), [day, table, unsealed])


def _rename_in_ledger(connection: psycopg.Connection, erasure: Erasure, user_id: int, counts: _Counts) -> None:
    ids = {"user_id": user_id, "pseudonym": erasure.pseudonym}
    made = {
        table: _run(connection, "postgres_lock_balance", table=table, amount=amount, **ids)
        for table, (amount, _) in BALANCES.items()
    }
    for table, query in LOGS.items():
        counts.add(table, _run(connection, query, **ids))
    for table, (amount, _) in BALANCES.items():
        # what was made here to be locked is nobody's, and goes
        if not made[table]:
            counts.add(table, _run(connection, "postgres_move_balance", table=table, amount=amount, **ids))
        _run(connection, "postgres_delete_balance", table=table, **ids)


def _rename_in_audit_log(connection: psycopg.Connection, erasure: Erasure, counts: _Counts) -> None:
    renamed = _run(
        connection,
        "postgres_audit",
        words=literal(words_pattern(erasure.person)),
        keys=literal(keys_pattern(erasure.person)),
        pseudonym=erasure.pseudonym,
        condition=holding_condition(BY_TABLE["admin_audit_log"], erasure.person, "postgres"),
    )
    counts.add("admin_audit_log", renamed)


def rejected_ids(connection: psycopg.Connection, person: Person) -> list[int]:
    """Find the rejected records that are the person's, as Python reads their bodies."""
    with connection.transaction(), connection.cursor(name="rejected") as rows:
        rows.execute(people_query("postgres_rejected").encode())
        return [number for number, kind, body in rows if body_names(person, kind, body)]


def _delete_rejected(connection: psycopg.Connection, person: Person, counts: _Counts) -> None:
    if ids := rejected_ids(connection, person):
        deleted = connection.execute(people_query("postgres_delete_rejected").encode(), [ids])
        counts.add("rejected_records", deleted.rowcount)


def _run(connection: psycopg.Connection, query: str, /, **parts: object) -> int:
    return connection.execute(people_query(query).format(**parts).encode()).rowcount


def _sessions(connection: psycopg.Connection, query: str, **parts: object) -> set[str]:
    return {
        session
        for table in ("tracking_live_sessions", *_event_tables(connection))
        for (session,) in connection.execute(people_query(query).format(table=table, **parts).encode())
    }


def _event_tables(connection: psycopg.Connection) -> list[str]:
    return ["tracking_events", *detached_tables(connection).get("tracking_events", [])]
