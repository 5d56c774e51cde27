"""What `footfall doctor` looks at: one function a question, one finding an answer. It changes nothing that stays."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from psycopg.errors import CheckViolation
from sqlalchemy import CheckConstraint, Connection, UniqueConstraint, func, select, text
from sqlalchemy.exc import IntegrityError, ProgrammingError

from footfall.ledger import differences
from footfall.settings import Settings
from ingest_app.admin_settings import RULES, read_settings
from ingest_app.migrate import PARTITION_DAYS_AHEAD
from ingest_app.schema import (
    EVENT_TABLES,
    STATE_TABLES,
    erasures,
    metadata,
    rejected_records,
    user_credits,
    user_points,
)
from ingest_app.spool.reader import read_backlog
from warehouse.archive.overdue import RUN, find_overdue
from warehouse.archive.store import open_archive
from warehouse.errors import SettingUnusable, WarehouseError, one_line
from warehouse.held_back import held_back
from warehouse.housekeeping import outlived

LEAST_FREE_BYTES = 1_000_000_000
LEAST_DAYS_AHEAD = 3
# the schedule runs every 5 minutes: rows that are stale for this long were missed by it
CLEANUP_GRACE = timedelta(minutes=15)
LATE_REFRESH = timedelta(minutes=20)
LATE_DRAIN_SECONDS = 300.0
LATE_COMMIT_SECONDS = 300.0
NAMED_BALANCES = 5
PROBE = "doctor.probe"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report: what was looked at, whether it is well, what was found, what to do."""

    item: str
    is_well: bool
    found: str
    advice: str = ""


def checklist(connection: Connection, cleanup_schedule: str | None) -> Iterator[Finding]:
    """Answer the checklist of the second seed, in its own words. `cleanup_schedule` is the cron string, if any."""
    yield _compare("All tables created successfully", _expected_tables(), _names(connection, TABLES), "tables")
    yield _compare("Indexes verified", _expected_indexes(), _names(connection, INDEXES), "indexes")
    yield _json_meta(connection)
    yield _cleanup(connection, cleanup_schedule)
    yield _atomic_updates(connection)


def health(connection: Connection, settings: Settings) -> Iterator[Finding]:
    """Look at what the checklist leaves out."""
    yield _compare("columns", _expected_columns(), _names(connection, COLUMNS), "columns")
    yield _compare("triggers", _expected_triggers(), _names(connection, TRIGGERS), "triggers")
    yield _compare("checks", _expected_checks(), _names(connection, CHECKS), "CHECK constraints")
    yield _settings(connection)
    yield _setting_values(connection)
    yield _ledger(connection)
    yield _partitions(connection)
    yield _spool(settings.home / "spool")
    yield _rejected(connection)
    yield _open_transactions(connection)
    yield _retention(connection)
    yield _growth(connection, settings.home)
    yield _erasures(connection)
    yield _archive(settings)
    yield _warehouse(settings.published_path)
    yield _disk(settings.home)


TABLES = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
INDEXES = """
    SELECT i.relname || CASE WHEN x.indisunique THEN ' (unique)' ELSE '' END
    FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
    WHERE i.relnamespace = 'public'::regnamespace AND x.indisvalid
"""
COLUMNS = "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'"
TRIGGERS = "SELECT tgrelid::regclass || '.' || tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'"
CHECKS = "SELECT DISTINCT conname FROM pg_constraint WHERE contype = 'c' AND convalidated"
STALE = """
    SELECT count(*) FROM tracking_live_sessions WHERE last_heartbeat < now() - :grace - make_interval(
        mins => (SELECT max(setting_value::int) FROM admin_settings
                 WHERE setting_key = 'live_session_timeout_minutes' AND setting_value ~ '^[0-9]{1,5}$'))
"""
# a day from today on for which a table has no partition ends what can be received
FIRST_GAP = """
    SELECT min(day) FROM unnest(CAST(:parents AS text[])) AS parent,
        generate_series(date_trunc('day', now() AT TIME ZONE 'UTC'), now() AT TIME ZONE 'UTC' + interval '60 days',
                        interval '1 day') AS day
    WHERE NOT EXISTS (
        SELECT FROM pg_inherits
        WHERE inhparent = to_regclass(parent)
          AND inhrelid = to_regclass(parent || '_p' || to_char(day, 'YYYYMMDD')))
"""


def _compare(item: str, expected: set[str], found: set[str], what: str) -> Finding:
    missing = sorted(expected - found)
    if missing:
        return Finding(item, False, f"missing {what}: {', '.join(missing)}", "run `footfall migrate`")
    return Finding(item, True, f"{len(expected)} {what}, all there")


def _expected_tables() -> set[str]:
    return set(metadata.tables)


def _expected_indexes() -> set[str]:
    """Name the indexes that are declared, and those that keys and unique columns bring with them."""
    tables = metadata.tables.values()
    keys = {table.primary_key for table in tables}
    unique = {found for table in tables for found in table.constraints if isinstance(found, UniqueConstraint)}
    declared = [(index.name, index.unique) for table in tables for index in table.indexes]
    named = [*declared, *((found.name, True) for found in keys | unique)]
    return {f"{name} (unique)" if is_unique else str(name) for name, is_unique in named}


def _expected_triggers() -> set[str]:
    # the moves of the ledger take their times from those of balances
    return {f"{table.name}.set_xid" for table in STATE_TABLES} | {
        f"{table.name}.set_updated_at" for table in (user_points, user_credits)
    }


def _expected_checks() -> set[str]:
    found = (rule for table in metadata.tables.values() for rule in table.constraints)
    return {str(rule.name) for rule in found if isinstance(rule, CheckConstraint)}


def _expected_columns() -> set[str]:
    return {f"{table.name}.{column.name}" for table in metadata.tables.values() for column in table.columns}


def _names(connection: Connection, query: str) -> set[str]:
    return set(connection.execute(text(query)).scalars())


def _json_meta(connection: Connection) -> Finding:
    query = "SELECT data_type FROM information_schema.columns WHERE table_name = :t AND column_name = 'meta'"
    found = connection.execute(text(query), {"t": "tracking_events"}).scalar()
    return Finding(
        "JSON meta support enabled", found == "jsonb", f"tracking_events.meta is {found}", "run `footfall migrate`"
    )


def _cleanup(connection: Connection, schedule: str | None) -> Finding:
    item = "Cron job defined for live session cleanup"
    if schedule is None:
        return Finding(item, False, "no schedule", "the schedule cleanup_live_sessions is gone from the pipelines")
    stale: int = connection.execute(text(STALE), {"grace": CLEANUP_GRACE}).scalar_one()
    found = f"schedule {schedule}; {stale} rows overdue"
    return Finding(item, stale == 0, found, "start `footfall up`, and look at cleanup_live_sessions in the Dagster UI")


def _atomic_updates(connection: Connection) -> Finding:
    """Try it: a redeem of more than the balance must fail whole, its log row included. All is rolled back."""
    item = "Points & credits atomic updates tested"
    outer = connection.begin_nested()
    connection.execute(
        text(
            "INSERT INTO user_points (user_id, points) VALUES (-1, 10) ON CONFLICT (user_id) DO UPDATE SET points = 10"
        )
    )
    try:
        with connection.begin_nested():
            log = "INSERT INTO user_point_logs (user_id, action, points) VALUES (-1, 'redeem', 11)"
            connection.execute(text(log))
            connection.execute(text("UPDATE user_points SET points = points - 11 WHERE user_id = -1"))
        refused = False
    except IntegrityError as error:
        refused = isinstance(error.orig, CheckViolation)
    left: int = connection.execute(text("SELECT count(*) FROM user_point_logs WHERE user_id = -1")).scalar_one()
    outer.rollback()
    found = "tried: an overdraft is refused, and its log row goes with it"
    if refused and not left:
        return Finding(item, True, found)
    return Finding(
        item, False, "an overdraft went through", "run `footfall migrate`: a CHECK of user_points is missing"
    )


def _settings(connection: Connection) -> Finding:
    missing = sorted(RULES.keys() - read_settings(connection))
    if missing:
        # the migrations write each once: they do not bring back what somebody deleted
        advice = " and ".join(f"`footfall settings set {key} {RULES[key].default}`" for key in missing)
        return Finding("settings", False, f"missing settings: {', '.join(missing)}", f"run {advice}")
    return Finding("settings", True, f"{len(RULES)} settings, all there")


def _setting_values(connection: Connection) -> Finding:
    """Name the values that somebody wrote past the check, which `footfall settings set` would have refused."""
    stored = {key: value for key, value in read_settings(connection).items() if key in RULES}
    wrong = {key: value for key, value in sorted(stored.items()) if not RULES[key].allows(value)}
    if wrong:
        found = "; ".join(f"{key} is {value!r}, not {RULES[key].allowed}" for key, value in wrong.items())
        advice = " and ".join(f"`footfall settings set {key} {RULES[key].default}`" for key in wrong)
        return Finding("values of settings", False, found, f"run {advice}")
    return Finding("values of settings", True, "each is one that its rule allows")


def _ledger(connection: Connection) -> Finding:
    """Compare all balances of points and credits with their logs, as each refresh does with what was loaded."""
    try:
        with connection.begin_nested():
            found = differences(connection)
    except ProgrammingError:
        return Finding("ledger", False, "its tables cannot be compared", "mend the tables and columns first")
    if not found:
        return Finding("ledger", True, "every balance of points and credits is what its log adds up to")
    users = len({one.user_id for one in found})
    named = "; ".join(str(one) for one in found[:NAMED_BALANCES])
    more = f"; and {len(found) - NAMED_BALANCES} more" if len(found) > NAMED_BALANCES else ""
    advice = [
        *(["the log is the truth: run `footfall doctor --mend-balances`"] if any(x.is_mendable for x in found) else []),
        *(
            ["where the log adds up to what no balance can be, rows of it are lost or wrong: put them back"]
            if not all(x.is_mendable for x in found)
            else []
        ),
    ]
    count = "1 user differs" if users == 1 else f"{users} users differ"
    return Finding("ledger", False, f"{count}: {named}{more}", "; ".join(advice))


def _partitions(connection: Connection) -> Finding:
    parents = [table.name for table in EVENT_TABLES]
    gap: datetime = connection.execute(text(FIRST_GAP), {"parents": parents}).scalar_one()
    ahead = (gap.date() - datetime.now(UTC).date()).days - 1
    found = f"made {ahead} days ahead (usually {PARTITION_DAYS_AHEAD})" if ahead >= 0 else "none for today"
    return Finding("partitions", ahead >= LEAST_DAYS_AHEAD, found, "run `footfall migrate`")


def _spool(folder: Path) -> Finding:
    """Look at what was accepted and is not in Postgres yet; damaged files keep what could not be read."""
    backlog = read_backlog(folder)
    found = f"{backlog.record_count} records wait, the oldest for {backlog.oldest_seconds:.0f} s"
    if backlog.damaged_file_count:
        found = f"{found}; damaged files: {backlog.damaged_file_count}"
        return Finding(
            "spool", False, found, f"what they held is saved as far as it can be read: move them from {folder}"
        )
    advice = "start `footfall up`; if it runs, logs/drainer.log says what keeps it from Postgres"
    return Finding("spool", backlog.oldest_seconds <= LATE_DRAIN_SECONDS, found, advice)


def _rejected(connection: Connection) -> Finding:
    count: int = connection.execute(select(func.count()).select_from(rejected_records)).scalar_one()
    return Finding("rejected records", count == 0, f"{count}", "`footfall rejected list` says why each was refused")


def _open_transactions(connection: Connection) -> Finding:
    """Look for writers that do not end: what they wrote is in no report until they commit."""
    held = held_back(lambda query: connection.exec_driver_sql(query).all())
    late = [
        f"rows of {table} wait for {transaction}"
        for table, transactions in sorted(held.items())
        for transaction in transactions
        if (transaction.age_seconds or 0) > LATE_COMMIT_SECONDS
    ]
    advice = "end it: `SELECT pg_terminate_backend(PID)`, or COMMIT or ROLLBACK PREPARED where it is prepared"
    return Finding("open transactions", not late, "; ".join(late) or "no row waits for long", advice)


def _retention(connection: Connection) -> Finding:
    """Look for days that ought to have left Postgres, as each refresh does."""
    try:
        with connection.begin_nested():
            overdue = find_overdue(lambda query: connection.exec_driver_sql(query).all())
    except ProgrammingError:
        return Finding("retention", False, "its tables cannot be looked at", "mend the tables and columns first")
    except SettingUnusable as error:
        return Finding("retention", False, str(error), "no day leaves Postgres before that: see the values of settings")
    return Finding("retention", not overdue, "; ".join(map(str, overdue)) or "no day of events is overdue", RUN)


def _erasures(connection: Connection) -> Finding:
    """Look for persons whose erasure was begun and not ended: loads wait for it until all rows are removed."""
    c = erasures.c
    query = select(c.subject_kind, c.subject, c.removed_at).where(c.finished_at.is_(None)).order_by(c.id)
    unfinished = connection.execute(query).all()
    state = {True: "holds up every load", False: "is not proved"}
    found = "; ".join(
        f"the erasure of {one.subject_kind} {one.subject} {state[one.removed_at is None]}" for one in unfinished
    )
    advice = " and ".join(f"`footfall erase --{one.subject_kind} {one.subject}`" for one in unfinished)
    return Finding("erasures", not unfinished, found or "each that was begun is finished", f"run {advice}")


def _growth(connection: Connection, home: Path) -> Finding:
    """Look for what outlives its rule; at Dagster's runs the check in Dagster looks."""
    url = connection.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    try:
        found = [str(left) for left in outlived(url, home)]
    except WarehouseError as error:
        return Finding("growth", False, str(error), "mend the tables, columns and settings first")
    return Finding("growth", not found, "; ".join(found) or "nothing outlives its rule", "do what it says")


def _archive(settings: Settings) -> Finding:
    """Put a file where sealed days are kept, and take it away again."""
    advice = "until that is mended no day is sealed; check FOOTFALL_ARCHIVE and the rights there"
    try:
        archive = open_archive(settings.archive_address, settings.warehouse_path)
        if settings.archive_address is None and not Path(archive.address).exists():
            return Finding("archive", True, f"{archive.address}, made with the first sealed day")
        archive.staging(PROBE).write_text("for a moment\n")
        archive.put_in_place(PROBE)
        archive.remove(PROBE)
    except (WarehouseError, OSError) as error:
        return Finding("archive", False, one_line(error), advice)
    return Finding("archive", True, f"{archive.address} can be written")


def _warehouse(published_path: Path) -> Finding:
    if not published_path.exists():
        return Finding("warehouse", True, "nothing published yet: run `footfall refresh`")
    age = datetime.now(UTC) - datetime.fromtimestamp(published_path.stat().st_mtime, UTC)
    found = f"published {int(age.total_seconds() // 60)} minutes ago"
    return Finding("warehouse", age < LATE_REFRESH, found, "run `footfall refresh`, or start `footfall up`")


def _disk(home: Path) -> Finding:
    free = shutil.disk_usage(home).free
    found = f"{free / 1e9:.1f} GB free in {home}"
    return Finding("disk", free > LEAST_FREE_BYTES, found, f"make room: {LEAST_FREE_BYTES / 1e9:.0f} GB is the least")
