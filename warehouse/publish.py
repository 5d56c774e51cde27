"""The published file: all marts in a new file, checked, then swapped in for the old one. No models here.

Readers open only this file; whoever has the old one open keeps it, whole, until they close it. Whoever opens it to
write all the same, as root may, cannot commit.
"""

import os
from dataclasses import dataclass
from pathlib import Path

import duckdb

from warehouse.builds import require_passed_build
from warehouse.connection import literal, open_warehouse, quoted, transaction
from warehouse.durable import fsync, remove_database, write_ahead_log
from warehouse.errors import NothingToPublish, PublishFailed, one_line
from warehouse.queries import duckdb_query
from warehouse.writer import writer_lock

MARTS = "marts"
# nobody makes such a folder; who lists the folder, or reads DuckDB's error, sees what to do
NO_LOG = "open-the-published-file-read-only/log"


@dataclass(frozen=True)
class PublishedTable:
    """A table of the published file, in schema `marts`."""

    table_name: str
    row_count: int


def publish(
    warehouse_path: Path, published_path: Path, *, build_id: str | None = None, wait_seconds: float = 0
) -> list[PublishedTable]:
    """Swap in a new `published_path` with every mart, its comments, `meta.refresh`, and what models make in `meta`.

    Only marts whose build passed all checks (`warehouse.builds`), and only those of `build_id` where one is named.
    Another writer is waited for at most `wait_seconds`. On any failure the old file stays and nothing half-made is
    left. Raises NothingToPublish, BuildNotPassed, BuildOvertaken, PublishFailed, WriterBusy, WarehouseUnusable.
    """
    with writer_lock(warehouse_path, wait_seconds, purpose="publish"):
        if not warehouse_path.exists():
            raise NothingToPublish(warehouse_path)
        made_path = published_path.with_name(f"{published_path.name}.new")
        try:
            published_path.parent.mkdir(parents=True, exist_ok=True)
            remove_database(made_path)
            tables = _make(warehouse_path, made_path, build_id)
            _check(made_path, published_path, tables)
            _swap_in(made_path, published_path)
        except (duckdb.Error, OSError) as error:
            raise PublishFailed(published_path, one_line(error)) from error
        finally:
            remove_database(made_path)
        return tables


def _make(warehouse_path: Path, made_path: Path, build_id: str | None) -> list[PublishedTable]:
    with open_warehouse(warehouse_path) as warehouse:
        made = warehouse.execute(duckdb_query("to_publish")).fetchall()
        if not any(schema == MARTS for schema, *_ in made):
            raise NothingToPublish(warehouse_path)
        require_passed_build(warehouse, warehouse_path, build_id)
        warehouse.execute(duckdb_query("attach_published").format(path=literal(str(made_path))))
        with transaction(warehouse):
            warehouse.execute("CREATE SCHEMA published.marts; CREATE SCHEMA published.meta")
            warehouse.execute(duckdb_query("publish_refresh_tables"))
            for schema, name, comment in made:
                _copy(warehouse, f"{quoted(schema)}.{quoted(name)}", comment, [schema, name])
                if schema == MARTS:
                    warehouse.execute(duckdb_query("insert_refresh_table").format(table=quoted(name)), [name])
            warehouse.execute(duckdb_query("publish_refresh"))
        counts = warehouse.execute("SELECT table_name, row_count FROM published.meta.refresh_tables").fetchall()
        # what is still in the write-ahead log would not be swapped in with the file
        warehouse.execute("CHECKPOINT published; DETACH published")
    return [PublishedTable(name, count) for name, count in counts]


def _copy(warehouse: duckdb.DuckDBPyConnection, table: str, comment: str | None, names: list[str]) -> None:
    warehouse.execute(duckdb_query("publish_table").format(table=table))
    columns = warehouse.execute(duckdb_query("published_columns"), names).fetchall()
    for column, is_required, _ in columns:
        if is_required:
            warehouse.execute(duckdb_query("forbid_null").format(table=table, column=quoted(column)))
    if comment is not None:
        warehouse.execute(f"COMMENT ON TABLE published.{table} IS {literal(comment)}")
    for column, _, text in columns:
        if text is not None:
            warehouse.execute(f"COMMENT ON COLUMN published.{table}.{quoted(column)} IS {literal(text)}")


def _check(made_path: Path, published_path: Path, tables: list[PublishedTable]) -> None:
    """Open the file as a reader will, and count. Raises PublishFailed."""
    if write_ahead_log(made_path).exists():
        raise PublishFailed(published_path, "its write-ahead log was not folded in")
    with duckdb.connect(str(made_path), read_only=True) as connection:
        for table in tables:
            query = duckdb_query("count_published").format(table=quoted(table.table_name))
            found = connection.execute(query).fetchone()
            if found != (table.row_count,):
                raise PublishFailed(made_path, f"{table.table_name} has {found} rows, not {table.row_count}")


def _swap_in(made_path: Path, published_path: Path) -> None:
    """Make it durable, then visible, then the change of name durable too."""
    # read-only, so that a reader who forgets to say so gets an error and not a lock that shuts out the others
    made_path.chmod(made_path.stat().st_mode & ~0o222)
    fsync(made_path)
    _forbid_log(published_path)
    os.replace(made_path, published_path)
    fsync(published_path.parent)


def _forbid_log(published_path: Path) -> None:
    """Leave a link to nowhere where DuckDB would put a write-ahead log, so that no change to the file can be committed.

    Root may write whatever the mode: what he changes would lie in a log beside the next published file, which
    DuckDB then refuses to open, or (1.5) replays it into the new tables. Readers take the link for no log.
    """
    log = write_ahead_log(published_path)
    if not (log.is_symlink() and os.readlink(log) == NO_LOG):
        log.unlink(missing_ok=True)
        log.symlink_to(NO_LOG)
