"""A person who leaves sealed days: which rows are theirs, a home without them, and its faults. No assertion here."""

from collections.abc import Callable
from typing import Any

from tests.integration.archive.sealing import Home, Rows
from warehouse.archive.rewrite import Rewritten, rewrite_without
from warehouse.archive.verify import unnamed_files, verify_files
from warehouse.connection import open_warehouse

# the place in a row of `sealing.EVENTS` and of `sealing.ACTIVITY` that tells whose it is
USER_ID, ACTION_NAME = 1, 3
CONDITIONS = {"activity_events": "action_name = 'a1'", "tracking_events": "user_id = 1"}
GONE: dict[str, Callable[[tuple[Any, ...]], bool]] = {
    "tracking_events": lambda row: row[USER_ID] == 1,
    "activity_events": lambda row: row[ACTION_NAME] == "a1",
    "tracking_documents": lambda _row: False,
}
REASON = "erasure 1"


def rewrite(home: Home, conditions: dict[str, str] = CONDITIONS) -> list[Rewritten]:
    with open_warehouse(home.warehouse_path) as warehouse:
        archive = home.store
        archive.attach(warehouse)
        return rewrite_without(warehouse, archive, conditions, REASON)


def without(sources: dict[str, Rows], sealed_before: str) -> dict[str, Rows]:
    """What is left of the sources where the person has gone from the days before this one."""
    return {
        table: [row for row in rows if not (GONE[table](row) and received_date(table, row) < sealed_before)]
        for table, rows in sources.items()
    }


def received_date(table: str, row: tuple[Any, ...]) -> str:
    return f"{row[6 if table == 'activity_events' else 14]:%Y-%m-%d}"


def faults(home: Home) -> list[str]:
    findings = (*verify_files(home.store), *unnamed_files(home.store))
    return [f"{finding.subject} {finding.fault}: {finding.advice}" for finding in findings if finding.fault]
