"""A person's rows in the archive: sealed files, and files beside them that nothing names, written anew without.

The caller holds the writer lock and has noted which days are touched.
"""

from collections.abc import Iterator
from fnmatch import fnmatch
from typing import Any

import duckdb
import psycopg

from warehouse.archive.errors import LooseFilesStay, RewriteFailed, SealedFileDamaged
from warehouse.archive.loose import loose_files, rewrite_loose_file
from warehouse.archive.manifest import known_files, known_lines
from warehouse.archive.rewrite import rewrite_without
from warehouse.archive.sealed_file import from_line
from warehouse.archive.store import Archive
from warehouse.columns import declared_columns
from warehouse.connection import literal
from warehouse.errors import one_line
from warehouse.people.erasures import PENDING, Erasure, note_before, note_behind
from warehouse.people.holdings import BY_TABLE
from warehouse.people.matching import NOBODY, condition, holding_condition, naming_columns
from warehouse.people.subject import Person
from warehouse.queries import people_query
from warehouse.tables import TABLES

STORE, SEALED = "archive", "*/part-*.parquet"


def rewrite_sealed(warehouse: duckdb.DuckDBPyConnection, archive: Archive, erasure: Erasure) -> None:
    """Let each sealed file with rows of the person be followed by one without; the manifest says why."""
    conditions = {
        table.name: found
        for table in TABLES
        if table.kind == "event"
        and (found := holding_condition(BY_TABLE[table.name], erasure.person, "duckdb")) != NOBODY
    }
    rewrite_without(warehouse, archive, conditions, erasure.mark)


def rewritten(warehouse: duckdb.DuckDBPyConnection, erasure: Erasure) -> list[dict[str, object]]:
    """Read off the manifest which files were written anew for this erasure, also by a run of it that was killed."""
    lines = [from_line(line) for line in known_lines(warehouse)]
    by_hash = {line.hash: line for line in lines}
    return [
        {
            "path": line.path,
            "old_path": by_hash[line.replaces].path,
            "removed_row_count": by_hash[line.replaces].row_count - line.row_count,
            "byte_count": line.byte_count,
        }
        for line in lines
        if line.reason == erasure.mark and line.replaces in by_hash
    ]


def rewrite_others(
    warehouse: duckdb.DuckDBPyConnection, archive: Archive, connection: psycopg.Connection, erasure: Erasure
) -> None:
    """Write files that no line of the manifest names anew without the person; note how many rows went from each."""
    conditions = {
        (name, table): file_condition(warehouse, archive, [name], erasure.person)
        for name, table in loose_files(archive)
        if table in declared_columns()
    }
    counts = {name: _count(warehouse, archive, name, found) for (name, _), found in conditions.items()}
    if not any(counts.get(name) for name in erasure.certificate.get(PENDING, {}).get(STORE, {})):
        # a run that was killed had written it anew, and not said so
        note_behind(connection, erasure, STORE)
    for (name, table), found in conditions.items():
        if count := counts[name]:
            note_before(connection, erasure, STORE, {name: count})
            rewrite_loose_file(archive, name, table, found, erasure.mark)
            note_behind(connection, erasure, STORE)


def other_files(warehouse: duckdb.DuckDBPyConnection, archive: Archive) -> list[str]:
    """List the files with rows that no line of the manifest names: set aside, or only here."""
    named = {file.path for file in known_files(warehouse)}
    return sorted(name for name in archive.listing() if ".parquet" in name and name not in named)


def file_condition(warehouse: duckdb.DuckDBPyConnection, archive: Archive, names: list[str], person: Person) -> str:
    """Write which rows of these files, which have the same columns, are the person's."""
    columns = columns_of(warehouse, archive, names)
    return condition(naming_columns(names[0].partition("/")[0], columns), person, "duckdb")


def columns_of(warehouse: duckdb.DuckDBPyConnection, archive: Archive, names: list[str]) -> dict[str, str]:
    """Return all columns of these files, with their types. Raises LooseFilesStay, SealedFileDamaged."""
    urls = _listed(archive, names)
    return dict(_asked(warehouse, archive, names, people_query("file_columns").format(urls=urls)))


def count_in_files(
    warehouse: duckdb.DuckDBPyConnection, archive: Archive, names: list[str], found: str
) -> Iterator[tuple[str, int]]:
    """Count the rows for which a condition holds in each of these files that has any; raises like `columns_of`."""
    if found != NOBODY:
        by_url = {archive.url(name): name for name in names}
        query = people_query("count_by_file").format(urls=_listed(archive, names), condition=found)
        for url, count in _asked(warehouse, archive, names, query):
            yield by_url.get(url, url), count


def _count(warehouse: duckdb.DuckDBPyConnection, archive: Archive, name: str, found: str) -> int:
    return sum(count for _, count in count_in_files(warehouse, archive, [name], found))


def _asked(warehouse: duckdb.DuckDBPyConnection, archive: Archive, names: list[str], query: str) -> list[Any]:
    try:
        return warehouse.execute(query).fetchall()
    except duckdb.Error as error:
        if fnmatch(names[0], SEALED):
            raise SealedFileDamaged(", ".join(names), f"cannot be read ({one_line(error)})") from error
        raise LooseFilesStay([RewriteFailed(archive.url(names[0]), one_line(error))]) from error


def _listed(archive: Archive, names: list[str]) -> str:
    return "[" + ", ".join(literal(archive.url(name)) for name in names) + "]"
