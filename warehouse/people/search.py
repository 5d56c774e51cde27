"""Looks for a person in every store, by what columns are called and hold, and not by what was removed. Changes nothing.

So it also finds what nobody thought of: a table that somebody made beside ours, a mart of one's own, a file set aside.
Whoever calls holds the writer lock.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import duckdb
import psycopg

from warehouse.archive.manifest import known_files
from warehouse.archive.store import LAKE, Archive
from warehouse.connection import literal, quoted
from warehouse.people import archive as files
from warehouse.people import postgres
from warehouse.people.holdings import BY_TABLE, Names
from warehouse.people.leftovers import find_leftovers
from warehouse.people.matching import NOBODY, Engine, condition, naming_columns, others_condition
from warehouse.people.subject import Person
from warehouse.queries import people_query

# the erasure that is under way says who it is
UNFINISHED = {"erasures": "finished_at IS NOT NULL"}
STORES = ("Postgres", "warehouse.duckdb", "analytics.duckdb", "restored.duckdb", "archive")
LEFTOVERS = "unfinished files"


@dataclass(frozen=True, slots=True)
class Found:
    """Rows of a person in one place of a store; with `is_others` rows of others whose JSON text names the person."""

    store: str
    place: str
    count: int
    is_others: bool = False

    def __str__(self) -> str:
        if self.store == LEFTOVERS:
            return f"{self.store}: {self.place}, which nobody can search"
        return f"{self.store}: {self.count:,} in {self.place}"


def search(
    connection: psycopg.Connection,
    warehouse: duckdb.DuckDBPyConnection,
    archive: Archive,
    warehouse_path: Path,
    person: Person,
) -> list[Found]:
    """Find the person in Postgres, in the DuckDB files and in the archive."""
    # before this connection itself may put something there
    found = [Found(LEFTOVERS, name, 1) for name in find_leftovers(warehouse_path)]
    found += [*_in_postgres(connection, person), *_in_duckdb(warehouse, "warehouse.duckdb", person)]
    for name in ("analytics.duckdb", "restored.duckdb"):
        path = warehouse_path.with_name(name)
        if path.exists():
            found += _in_file(warehouse, path, person)
    return [*found, *_in_archive(warehouse, archive, person)]


def _in_postgres(connection: psycopg.Connection, person: Person) -> Iterator[Found]:
    rows = connection.execute(people_query("postgres_columns").encode()).fetchall()
    for (schema, table), columns in _by_table(rows).items():
        name = f"{quoted(schema)}.{quoted(table)}"
        for where, is_others in _wheres(table, columns, person, "postgres"):
            query = people_query("count").format(table=name, condition=where)
            row = connection.execute(query.encode()).fetchone()
            if row and row[0]:
                yield Found("Postgres", f"{schema}.{table}", row[0], is_others)
    if ids := postgres.rejected_ids(connection, person):
        yield Found("Postgres", "public.rejected_records", len(ids))


def _in_file(warehouse: duckdb.DuckDBPyConnection, path: Path, person: Person) -> Iterator[Found]:
    warehouse.execute(people_query("attach_read_only").format(path=literal(str(path)), name="searched"))
    try:
        yield from _in_duckdb(warehouse, path.name, person, "searched")
    finally:
        warehouse.execute("DETACH searched")


def _in_duckdb(
    warehouse: duckdb.DuckDBPyConnection, store: str, person: Person, database: str | None = None
) -> Iterator[Found]:
    if database is None:
        [(database,)] = warehouse.execute(people_query("attached_name")).fetchall()
    rows = warehouse.execute(people_query("tables_with_columns").format(database=database)).fetchall()
    for (schema, table), columns in _by_table(rows).items():
        name = f"{quoted(str(database))}.{quoted(schema)}.{quoted(table)}"
        for where, is_others in _wheres(table, columns, person, "duckdb"):
            [(count,)] = warehouse.execute(people_query("count").format(table=name, condition=where)).fetchall()
            if count:
                yield Found(store, f"{schema}.{table}", count, is_others)


def _in_archive(warehouse: duckdb.DuckDBPyConnection, archive: Archive, person: Person) -> Iterator[Found]:
    parts: dict[str, list[str]] = defaultdict(list)
    for file in known_files(warehouse):
        parts[file.table_name].append(file.path)
    groups = [*parts.items(), *((name.partition("/")[0], [name]) for name in files.other_files(warehouse, archive))]
    for table, names in [*groups, *_in_lake(archive)]:
        columns = files.columns_of(warehouse, archive, names)
        for where, is_others in _wheres(table, columns, person, "duckdb"):
            for name, count in files.count_in_files(warehouse, archive, names, where):
                yield Found("archive", name, count, is_others)


def _in_lake(archive: Archive) -> Iterator[tuple[str, list[str]]]:
    """Give the files of the lake by their folders, each with the name of the table or model that it is of."""
    names = sorted(name for name in archive.listing(LAKE) if name.endswith(".parquet"))
    for (_, _, table), of_table in groupby(names, key=lambda name: name.split("/")[:3]):
        yield table.rpartition(".")[2], list(of_table)


def _wheres(table: str, columns: Mapping[str, str], person: Person, engine: Engine) -> Iterator[tuple[str, bool]]:
    known: dict[str, Names] = naming_columns(table, columns)
    if table in BY_TABLE and engine == "postgres":
        held = BY_TABLE[table].columns
        known |= {column: names for column, names in held.items() if names == "words"}
        # Python reads those
        known = {column: names for column, names in known.items() if held.get(column) != "record"}
    for where, is_others in (
        (condition(known, person, engine), False),
        (others_condition(known, person, engine), True),
    ):
        if where != NOBODY:
            yield f"({where}) AND {UNFINISHED.get(table, 'true')}", is_others


def _by_table(rows: Iterable[tuple[str, str, str, str]]) -> dict[tuple[str, str], dict[str, str]]:
    found: dict[tuple[str, str], dict[str, str]] = defaultdict(dict)
    for schema, table, column, kind in rows:
        found[schema, table][column] = kind
    return found


def count_rows(warehouse: duckdb.DuckDBPyConnection, database: str) -> dict[tuple[str, str], int]:
    """Count the rows of each table of a database file."""
    rows = warehouse.execute(people_query("tables_with_columns").format(database=database)).fetchall()
    names = {table: f"{quoted(database)}.{quoted(table[0])}.{quoted(table[1])}" for table in _by_table(rows)}
    query = people_query("count")
    return {
        table: warehouse.execute(query.format(table=name, condition="true")).fetchall()[0][0]
        for table, name in names.items()
    }
