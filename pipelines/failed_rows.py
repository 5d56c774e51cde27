"""Which rows a failed check found: the first few, read again by its own SQL, for dbt counts them. No Dagster."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import duckdb

from pipelines.dbt_project import FailedRow, NodeResult
from warehouse.archive.store import open_archive
from warehouse.connection import open_warehouse

SHOWN_ROWS = 5
LONGEST_VALUE = 100


def with_failed_rows(
    warehouse_path: Path, results: Sequence[NodeResult], archive_address: str | None = None
) -> list[NodeResult]:
    """Return the results, those of tests that found rows with the first of them, also in the message.

    The caller has held the writer's lock since the tests ran: the rows are still those that they saw.
    """
    if not any(result.failure_count for result in results):
        return list(results)
    with open_warehouse(warehouse_path) as warehouse:
        open_archive(archive_address, warehouse_path).attach(warehouse)

        def read(query: str, limit: int) -> Sequence[Mapping[str, object]]:
            try:
                found = warehouse.sql(f"FROM ({query}) ORDER BY ALL LIMIT {limit}")
                return [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
            except duckdb.Error:
                return ()

        return [with_rows(result, read) for result in results]


def with_rows(result: NodeResult, read: Callable[[str, int], Sequence[Mapping[str, object]]]) -> NodeResult:
    """Return a test that found rows with the first of them. `read` gives so many of a query, or none where it cannot.

    Then the result stays as it is: that the check failed is what matters; how many rows it found is known all the same.
    """
    if not result.failure_count:
        return result
    found = read(result.compiled_sql, SHOWN_ROWS)
    rows = [{column: _told(value) for column, value in row.items()} for row in found]
    return replace(result, failed_rows=rows, message="; ".join(_parts(result, rows))) if rows else result


def _parts(result: NodeResult, rows: Sequence[FailedRow]) -> Iterator[str]:
    yield result.message
    yield from (", ".join(f"{column} {value}" for column, value in row.items()) for row in rows)
    left = (result.failure_count or 0) - len(rows)
    if rows and left > 0:
        yield f"and {left} more"


def _told(value: object) -> str:
    """Tell a value on one line. What apps sent is quoted, so that it can neither steer a terminal nor end a value."""
    text = repr(value) if isinstance(value, str) else "null" if value is None else str(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
