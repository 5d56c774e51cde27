"""The fingerprint of a day's rows, computed alike by Postgres, by DuckDB, and over what polars reads from a file.

A row's text is its columns, joined by chr(31): times as epoch microseconds, jsonb as Postgres writes it, NULL as
chr(30), so that it is not the empty text. `xid` is left out: a restored row gets another one and is the same row.
Whoever changes anything here changes the digests of all files that are sealed already.
"""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, timedelta
from pathlib import Path
from uuid import UUID

import duckdb
import polars as pl
from psycopg import sql

from warehouse.archive.sealed_file import Fingerprint
from warehouse.columns import RAW_TYPES, selected
from warehouse.postgres import Snapshot
from warehouse.queries import archive_query

# as many rows as a row group of a sealed file has: polars then unpacks each group once, and holds one at a time
ROW_GROUP_ROWS = 122_880
NOT_PART_OF_AN_EVENT = "xid"

Bounds = tuple[str, ...]


def day_bounds(day: date) -> dict[str, str]:
    """Return the first moment of a UTC day and of the next, as both engines read them."""
    return {"first": f"{day} 00:00:00+00", "end": f"{day + timedelta(days=1)} 00:00:00+00"}


def hot_fingerprint(
    warehouse: duckdb.DuckDBPyConnection, table_name: str, day: date, columns: Mapping[str, str]
) -> Fingerprint:
    """Compute it over the hot rows of a day."""
    query = archive_query("hot_fingerprint").format(table=table_name, text=duckdb_text(columns), **day_bounds(day))
    row_count, digest = warehouse.execute(query).fetchall()[0]
    return Fingerprint(row_count, digest)


def postgres_fingerprint(
    snapshot: Snapshot,
    table_name: str,
    day: date,
    columns: Mapping[str, str],
    loaded: str,
    event_ids: Sequence[str] | None = None,
) -> Fingerprint:
    """Compute it over what Postgres has of a day, or of these events of it, as far as the snapshot `loaded` saw it."""
    bounds = {name: sql.Literal(moment) for name, moment in day_bounds(day).items()}
    query = sql.SQL(archive_query("postgres_fingerprint")).format(
        table=sql.Identifier(table_name),
        columns=sql.SQL(", ".join(selected(column, kind) for column, kind in columns.items())),
        text=sql.SQL(postgres_text(columns)),
        loaded=sql.Literal(loaded),
        chosen=sql.SQL("true") if event_ids is None else _any_of(event_ids),
        **bounds,
    )
    [(row_count, digest)] = snapshot.fetch(query.as_string(), f"add up {table_name} of {day}")
    return Fingerprint(row_count, int(digest))


def sha256_of(path: Path) -> str:
    """Hash a file of any size."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def event_ids_of(path: Path) -> list[str]:
    """Read which events are in a file."""
    return [str(UUID(bytes=event_id)) for event_id in pl.read_parquet(path, columns=["event_id"])["event_id"]]


def file_fingerprint(path: Path, columns: Mapping[str, str]) -> tuple[Fingerprint, Bounds]:
    """Compute it over a file as polars reads it, one row group at a time; and the first and last times in it.

    The times are ISO 8601: first and last `created_at`, first and last `received_at`; empty texts where there is no
    row. Raises polars' errors.
    """
    found, spans = Fingerprint(0, 0), pl.DataFrame()
    for frame, fingerprint in _frames(path, columns):
        found += fingerprint
        spans = pl.concat([spans, _span(frame)]) if len(spans) else _span(frame)
    if not found.row_count:
        return found, ("", "", "", "")
    first, last = spans.min().row(0), spans.max().row(0)
    return found, tuple(moment.isoformat() for moment in (first[0], last[1], first[2], last[3]))


def rows_fingerprint(path: Path, columns: Mapping[str, str]) -> Fingerprint:
    """Compute it likewise over a file of any table. Raises polars' errors."""
    return sum((fingerprint for _, fingerprint in _frames(path, columns)), Fingerprint(0, 0))


def _frames(path: Path, columns: Mapping[str, str]) -> Iterator[tuple[pl.DataFrame, Fingerprint]]:
    frames = pl.scan_parquet(path)
    row_count = frames.select(pl.len()).collect().item()
    query = archive_query("frame_fingerprint").format(text=duckdb_text(columns))
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        for offset in range(0, row_count, ROW_GROUP_ROWS):
            frame = frames.slice(offset, ROW_GROUP_ROWS).collect()
            engine.register("frame", frame.to_arrow())
            yield frame, Fingerprint(*engine.execute(query).fetchall()[0])
            engine.unregister("frame")


def _any_of(event_ids: Sequence[str]) -> sql.Composed:
    return sql.SQL("event_id = ANY ({}::uuid[])").format(sql.Literal("{" + ",".join(event_ids) + "}"))


def _span(frame: pl.DataFrame) -> pl.DataFrame:
    return frame.select(
        pl.min("created_at").alias("first_created"),
        pl.max("created_at").alias("last_created"),
        pl.min("received_at").alias("first_received"),
        pl.max("received_at").alias("last_received"),
    )


def duckdb_text(columns: Mapping[str, str]) -> str:
    """Write the SQL of a row's text on DuckDB."""
    items = (f"coalesce({_duckdb_item(column, kind)}, chr(30))" for column, kind in _hashed(columns).items())
    return f"concat_ws(chr(31), {', '.join(items)})"


def _duckdb_item(column: str, kind: str) -> str:
    if kind == RAW_TYPES["timestamptz"]:
        return f"epoch_us({column})::VARCHAR"
    # files keep a uuid as its sixteen bytes
    return f"{column}::UUID::VARCHAR" if kind == RAW_TYPES["uuid"] else f"{column}::VARCHAR"


def postgres_text(columns: Mapping[str, str]) -> str:
    """Write the same on Postgres, over what `selected` makes of the columns."""
    items = (f"coalesce({_postgres_item(column, kind)}, chr(30))" for column, kind in _hashed(columns).items())
    return f"concat_ws(chr(31), {', '.join(items)})"


def _postgres_item(column: str, kind: str) -> str:
    if kind == RAW_TYPES["timestamptz"]:
        return f"(extract(epoch FROM {column}) * 1000000)::bigint::text"
    if kind == RAW_TYPES["text"]:
        # concat, and no cast: that would cut the blanks off a char(2), which the load keeps
        return f"CASE WHEN {column} IS NOT NULL THEN concat({column}) END"
    return f"{column}::text"


def _hashed(columns: Mapping[str, str]) -> dict[str, str]:
    return {column: kind for column, kind in columns.items() if column != NOT_PART_OF_AN_EVENT}
