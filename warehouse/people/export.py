"""All that is held on a person, as one JSON object, written row by row: a person may have a million events.

By store and table, columns as the schema has them, times ISO 8601 in UTC. A row that Postgres and a copy of it both
have stands there once, with Postgres. What is made of these rows (the marts) is not repeated. Nothing is changed; the
caller holds the writer lock.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, Any
from uuid import UUID

import duckdb
import psycopg
import pyarrow as pa

from warehouse.archive.store import Archive
from warehouse.connection import literal
from warehouse.people import archive as files
from warehouse.people.holdings import BY_TABLE, HOLDINGS, Holding
from warehouse.people.matching import NOBODY, body_names, holding_condition
from warehouse.people.postgres import detached_tables
from warehouse.people.raw import raw_conditions
from warehouse.people.subject import Person, Subject
from warehouse.queries import people_query
from warehouse.tables import TABLES, Table

BATCH_ROWS = 5_000
# of an event the id that every copy of it has; Postgres counts its numbers anew where it was replaced
KEYS = {table.name: "event_id" if table.kind == "event" else table.key for table in TABLES}

Row = Mapping[str, Any]


def write_export(
    out: IO[str],
    connection: psycopg.Connection,
    warehouse: duckdb.DuckDBPyConnection,
    archive: Archive,
    subject: Subject,
    person: Person,
    spooled: Iterable[Row],
) -> int:
    """Write the object; `spooled` are the records that wait on this host. Return how many rows are in it."""
    writer = _Writer(out)
    head = {"subject": str(subject), "exported_at": datetime.now(UTC).isoformat(), **person.as_json()}
    out.write("{" + json.dumps("person") + ": " + json.dumps(head, ensure_ascii=False))
    keys = _Keys(warehouse)
    writer.store("postgres", {holding.table: _in_postgres(connection, holding, person, keys) for holding in HOLDINGS})
    writer.store("warehouse and archive", dict(_elsewhere(warehouse, person, keys)))
    writer.store("files that nothing names", dict(_in_other_files(warehouse, archive, person)))
    # who was drained since the spool was read stands above
    writer.store("spool", {"records": (one for one in spooled if not keys.has(one["record"].get("event_id")))})
    out.write("\n}\n")
    return writer.row_count


def drained_seqs(connection: psycopg.Connection) -> dict[str, int]:
    """Tell how far each spool is drained."""
    return dict(connection.execute(people_query("postgres_drained").encode()).fetchall())


class _Writer:
    """Writes stores of tables of rows, each row on a line; a table without a row is left out."""

    def __init__(self, out: IO[str]) -> None:
        self.row_count = 0
        self._out = out

    def store(self, name: str, tables: Mapping[str, Iterable[Row]]) -> None:
        """Write one store."""
        self._out.write(",\n" + json.dumps(name) + ": {")
        has_table = False
        for table, rows in tables.items():
            has_row = False
            for row in rows:
                if not has_row:
                    self._out.write((",\n" if has_table else "\n") + json.dumps(table) + ": [\n")
                    has_table = True
                else:
                    self._out.write(",\n")
                self._out.write(json.dumps(row, ensure_ascii=False, default=_as_json))
                has_row = True
                self.row_count += 1
            if has_row:
                self._out.write("]")
        self._out.write("}")


class _Keys:
    """The keys of rows that were written already, in a table of DuckDB, which goes to disk if they are many."""

    def __init__(self, warehouse: duckdb.DuckDBPyConnection) -> None:
        self._warehouse = warehouse
        self._waiting: dict[str, list[str]] = {}
        warehouse.execute(people_query("make_exported"))

    def add(self, table: str, key: object) -> None:
        """Remember a row."""
        waiting = self._waiting.setdefault(table, [])
        waiting.append(str(key))
        if len(waiting) >= BATCH_ROWS:
            self.flush(table)

    def has(self, key: object) -> bool:
        """Tell whether a row of this key is written."""
        found = self._warehouse.execute(people_query("is_exported"), [str(key)]).fetchone()
        return found is not None

    def flush(self, table: str) -> None:
        """Let DuckDB have what waits."""
        if keys := self._waiting.pop(table, []):
            incoming = pa.table({"table_name": [table] * len(keys), "row_key": keys})
            self._warehouse.register("incoming_keys", incoming)
            self._warehouse.execute(people_query("insert_exported"))
            self._warehouse.unregister("incoming_keys")


def _in_postgres(connection: psycopg.Connection, holding: Holding, person: Person, keys: _Keys) -> Iterator[Row]:
    found = holding_condition(holding, person, "postgres")
    is_record = "record" in holding.columns.values()
    if found == NOBODY and not is_record:
        return
    detached = detached_tables(connection).get(holding.table, [])
    for table in [holding.table, *detached]:
        with connection.transaction(), connection.cursor(name="export") as rows:
            rows.itersize = BATCH_ROWS
            condition = "true" if is_record else found
            rows.execute(people_query("postgres_rows").format(table=table, condition=condition).encode())
            for (row,) in rows:
                if is_record and not body_names(person, row["kind"], row["body"]):
                    continue
                if holding.table in KEYS:
                    keys.add(holding.table, row[KEYS[holding.table]])
                yield row
    keys.flush(holding.table)


def _elsewhere(
    warehouse: duckdb.DuckDBPyConnection, person: Person, keys: _Keys
) -> Iterator[tuple[str, Iterator[Row]]]:
    """Give rows that Postgres has let go: of sealed days, and of tables that were loaded before it lost them."""
    conditions = dict(raw_conditions(person))
    for table in TABLES:
        if table.name in conditions:
            yield table.name, _not_exported(warehouse, table, conditions[table.name])


def _not_exported(warehouse: duckdb.DuckDBPyConnection, table: Table, condition: str) -> Iterator[Row]:
    parts = {"table": table.name, "key": KEYS[table.name], "source": f"sources.{table.name}", "condition": condition}
    jsons = {column for column, names in BY_TABLE[table.name].columns.items() if names == "json"}
    return _once(warehouse, parts, jsons)


def _in_other_files(
    warehouse: duckdb.DuckDBPyConnection, archive: Archive, person: Person
) -> Iterator[tuple[str, Iterator[Row]]]:
    for name in files.other_files(warehouse, archive):
        found = files.file_condition(warehouse, archive, [name], person)
        if found != NOBODY:
            source = f"read_parquet({literal(archive.url(name))}, hive_partitioning = false)"
            # of an event that stands above already there is no second row; another Postgres may count log rows anew
            table = next((one.name for one in TABLES if one.kind == "event" and one.name in name), "")
            key = "CAST(event_id AS UUID)" if table else "NULL"
            query = people_query("select_not_exported")
            parts = {"table": table, "key": key, "source": source, "condition": found}
            yield name, _once(warehouse, parts) if table else _rows(warehouse, query.format(**parts))


def _once(warehouse: duckdb.DuckDBPyConnection, parts: Mapping[str, str], jsons: Iterable[str] = ()) -> Iterator[Row]:
    """Give rows that were not given, and remember them."""
    yield from _rows(warehouse, people_query("select_not_exported").format(**parts), jsons)
    warehouse.execute(people_query("insert_exported_rows").format(**parts))


def _rows(warehouse: duckdb.DuckDBPyConnection, query: str, jsons: Iterable[str] = ()) -> Iterator[Row]:
    found = warehouse.execute(query)
    names = [column[0] for column in found.description or []]
    while batch := found.fetchmany(BATCH_ROWS):
        for values in batch:
            row = {name: value for name, value in zip(names, values, strict=True) if name != "xid"}
            for column in jsons:
                row[column] = json.loads(row[column]) if row[column] is not None else None
            yield row


def _as_json(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    # files keep a uuid as its sixteen bytes
    return str(UUID(bytes=value)) if isinstance(value, bytes) else str(value)
