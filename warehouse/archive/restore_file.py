"""Sealed days into a file of their own, to look at: DuckDB, Parquet or CSV. Nothing else of footfall's is touched.

A new file is written under another name and then has its own; an existing DuckDB file gets what it lacks in one
transaction; any other that is there is left as it is. The caller holds the writer lock.
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from warehouse.archive.errors import NotRestored
from warehouse.archive.restore import RestoredDay, by_day, proved, read_items
from warehouse.archive.sealed_file import SealedFile
from warehouse.archive.store import Archive
from warehouse.columns import RAW_TYPES, declared_columns
from warehouse.connection import literal, transaction
from warehouse.durable import fsync, remove_database
from warehouse.errors import one_line
from warehouse.queries import restore_query

DATABASE = ".duckdb"
FORMATS = {".parquet": "FORMAT parquet, COMPRESSION zstd", ".csv": "FORMAT csv, HEADER"}
ENDINGS = (*FORMATS, DATABASE)


def restored_path(published_path: Path) -> Path:
    """Return where restored days lie for analysts: beside the published file."""
    return published_path.with_name("restored.duckdb")


def restore_into_file(path: Path, archive: Archive, files: Sequence[SealedFile]) -> list[RestoredDay]:
    """Write the rows of these files, after all were read, in the format that the ending of `path` names.

    Raises NotRestored, SealedFileDamaged.
    """
    _require_fit(path, files)
    made_path = path if path.exists() else path.with_name(f"{path.name}.new")
    with proved(archive, files) as paths:
        try:
            if made_path != path:
                made_path.parent.mkdir(parents=True, exist_ok=True)
                remove_database(made_path)
            if path.suffix == DATABASE:
                restored = _into_tables(made_path, files, paths)
            else:
                restored = _into_one_table(made_path, FORMATS[path.suffix], files, paths)
            if made_path != path:
                name_it(made_path, path)
        except (duckdb.Error, OSError) as error:
            raise NotRestored(f"{path} is", one_line(error)) from error
        finally:
            if made_path != path:
                remove_database(made_path)
    return restored


def _require_fit(path: Path, files: Sequence[SealedFile]) -> None:
    tables = sorted({file.table_name for file in files})
    if path.suffix not in ENDINGS:
        raise NotRestored(f"{path} is", f"its name has to end in one of {', '.join(ENDINGS)}")
    if path.suffix != DATABASE and len(tables) > 1:
        raise NotRestored(
            f"{path} is", f"a {path.suffix} file holds one table: choose by --table {' or '.join(tables)}"
        )
    if path.suffix != DATABASE and path.exists():
        raise NotRestored(f"{path} is", "it is there already: choose another name, or move it away")


def _into_tables(path: Path, files: Sequence[SealedFile], paths: Mapping[str, Path]) -> list[RestoredDay]:
    """Write tables named like the events', columns with their types; rows that are there already are left."""
    restored = []
    with duckdb.connect(str(path)) as database:
        database.execute("SET TimeZone = 'UTC'")
        with transaction(database):
            for table_name, day, parts in by_day(files):
                _make_table(database, path, table_name)
                written = sum(_append(database, part, paths[part.path]) for part in parts)
                restored.append(RestoredDay(table_name, day, sum(part.row_count for part in parts), written))
        database.execute("CHECKPOINT")
    return restored


def _make_table(database: duckdb.DuckDBPyConnection, path: Path, table_name: str) -> None:
    declared = declared_columns()[table_name]
    columns = ", ".join(f"{column} {kind}" for column, kind in declared.items())
    database.execute(restore_query("make_table").format(table=table_name, columns=columns))
    rows = database.execute(restore_query("columns_of").format(table=table_name)).fetchall()
    found = {str(row[0]): str(row[1]) for row in rows}
    if found != declared:
        raise NotRestored(
            f"{path} is", f"its table {table_name} has other columns: choose another file, or move it away"
        )


def _append(database: duckdb.DuckDBPyConnection, part: SealedFile, path: Path) -> int:
    values = ", ".join(f"{item} AS {column}" for column, item in read_items(part).items())
    query = restore_query("append").format(table=part.table_name, values=values, path=literal(str(path)))
    written = database.execute(query).fetchall()
    return int(written[0][0])


def _into_one_table(
    made_path: Path, how: str, files: Sequence[SealedFile], paths: Mapping[str, Path]
) -> list[RestoredDay]:
    """Write all rows in the order of receipt; uuids as text, which every reader of such files knows."""
    rows = " UNION ALL BY NAME ".join(
        restore_query("rows").format(values=_plain_items(part), path=literal(str(paths[part.path]))) for part in files
    )
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.execute(restore_query("write").format(rows=rows, path=literal(str(made_path)), how=how))
    return [
        RestoredDay(table_name, day, row_count := sum(part.row_count for part in parts), row_count)
        for table_name, day, parts in by_day(files)
    ]


def _plain_items(part: SealedFile) -> str:
    declared = declared_columns()[part.table_name]
    return ", ".join(
        f"{item}::VARCHAR AS {column}" if declared[column] == RAW_TYPES["uuid"] else f"{item} AS {column}"
        for column, item in read_items(part).items()
    )


def name_it(made_path: Path, path: Path) -> None:
    """Give a written file its name, durably; one that somebody made meanwhile is not written over."""
    fsync(made_path)
    os.link(made_path, path)
    made_path.unlink()
    fsync(path.parent)
