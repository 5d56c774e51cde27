"""Sealed files written anew without some rows: a person has left. Which rows these are, the caller says.

The steps stand in the order that a kill at any moment cannot hurt: the old file is read and held to its line, the rest
is written beside it, made durable and read back, and has to add up, with the rows that go, to what was sealed; then
one DuckDB transaction lets the new line replace the old one, and from then on it counts; then comes the mirror in the
archive, and last the old file goes. Of a file of which nothing stays an empty one is left, so that the manifest names
nothing that is not there. What a killed rewrite leaves, `warehouse.archive.leftovers` knows.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
import polars as pl

from warehouse.archive.errors import FilesNotNamed, RewriteFailed, SealedFileDamaged
from warehouse.archive.fingerprint import day_bounds, duckdb_text, file_fingerprint, sha256_of
from warehouse.archive.manifest import MANIFEST, add_file, complete_manifest, known_files, last_hash
from warehouse.archive.sealed_file import Fingerprint, SealedFile
from warehouse.archive.sources import (
    by_columns,
    make_source_view,
    path_list,
    read_item,
    require_content,
    require_sealed_files,
    require_size,
)
from warehouse.archive.splitting import Split, fingerprint_of, write_staying
from warehouse.archive.store import Archive
from warehouse.columns import declared_columns
from warehouse.connection import transaction
from warehouse.errors import one_line
from warehouse.queries import rewrite_query
from warehouse.tables import EVENT_TABLES


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A file that took the place of another: its rows and bytes, how many rows went, and all bytes of the old one."""

    path: str
    old_path: str
    removed_row_count: int
    row_count: int
    byte_count: int
    removed_byte_count: int


def rewrite_without(
    warehouse: duckdb.DuckDBPyConnection, archive: Archive, conditions: Mapping[str, str], reason: str
) -> list[Rewritten]:
    """Take the rows for which the condition of their table holds out of all sealed files, and return what was written.

    A condition is SQL over the columns of an event table as the models read them; NULL is no reason to go. The caller
    holds the writer lock, and has let the connection read the archive. It may be run again at any time. Raises
    RewriteFailed, SealedFileDamaged, FilesNotNamed, WarehouseBehindArchive, ManifestDiffers; files before the one that
    it names are done then.
    """
    _require_event_tables(conditions)
    complete_manifest(archive, warehouse)
    require_sealed_files(warehouse, archive)
    archive.remove_unfinished()
    _require_named(warehouse, archive, conditions)
    return [
        _rewrite(warehouse, archive, file, conditions[file.table_name], reason)
        for file, _ in count_rows(warehouse, archive, conditions)
    ]


def count_rows(
    warehouse: duckdb.DuckDBPyConnection, archive: Archive, conditions: Mapping[str, str]
) -> list[tuple[SealedFile, int]]:
    """Count, without a change, the rows that would go, for each sealed file that has any.

    Raises RewriteFailed, SealedFileDamaged.
    """
    _require_event_tables(conditions)
    found: list[tuple[SealedFile, int]] = []
    for table_name, condition in conditions.items():
        files = {archive.url(file.path): file for file in known_files(warehouse, table_name)}
        counts = _counts_by_url(warehouse, archive, table_name, condition)
        # as they were sealed; and a url that is none of these must not be passed over
        order = {url: number for number, url in enumerate(files)}
        found += [(files[url], counts[url]) for url in sorted(counts, key=order.__getitem__)]
    return found


def _counts_by_url(
    warehouse: duckdb.DuckDBPyConnection, archive: Archive, table_name: str, condition: str
) -> dict[str, int]:
    """Read only the columns that the condition needs."""
    counts: dict[str, int] = {}
    for stored, group in by_columns(known_files(warehouse, table_name)):
        files = list(group)
        items = [read_item(column, kind, stored) for column, kind in declared_columns()[table_name].items()]
        query = rewrite_query("rows_by_file").format(
            read=", ".join(items), paths=path_list(archive, files), condition=condition
        )
        try:
            counts |= dict(warehouse.execute(query).fetchall())
        except duckdb.Error as error:
            # it does not say which of them it could not read
            for file in files:
                require_content(archive, file)
            raise RewriteFailed(archive.url(table_name), one_line(error)) from error
    return counts


def _rewrite(
    warehouse: duckdb.DuckDBPyConnection, archive: Archive, old: SealedFile, condition: str, reason: str
) -> Rewritten:
    name = old.next_path
    with _as_failure(archive.url(old.path)), archive.local(old.path) as path:
        if sha256_of(path) != old.sha256:
            raise SealedFileDamaged(archive.url(old.path), "has changed since it was sealed")
        split = Split(old.table_name, path, old.columns, condition)
        going = fingerprint_of(warehouse, split.going(), old.columns)
        try:
            write_staying(warehouse, split, archive.staging(name), reason)
            archive.put_in_place(name)
            new = describe(archive, old, reason, last_hash(warehouse))
            require_sum(archive, old, new, going)
        except BaseException:
            # no line names it yet
            archive.remove(name)
            raise
        commit(warehouse, archive, new, split)
        complete_manifest(archive, warehouse)
        archive.remove(old.path)
    return Rewritten(name, old.path, going.row_count, new.row_count, new.byte_count, old.byte_count)


def describe(archive: Archive, old: SealedFile, reason: str, previous_hash: str) -> SealedFile:
    """Read the new file back, with another reader than the one that wrote it, and write down what is in it."""
    with archive.local(old.next_path) as path:
        fingerprint, spans = file_fingerprint(path, old.columns)
        sha256, byte_count = sha256_of(path), path.stat().st_size
    min_created_at, max_created_at, min_received_at, max_received_at = spans
    return replace(
        old,
        path=old.next_path,
        row_count=fingerprint.row_count,
        digest=str(fingerprint.digest),
        sha256=sha256,
        byte_count=byte_count,
        min_created_at=min_created_at,
        max_created_at=max_created_at,
        min_received_at=min_received_at,
        max_received_at=max_received_at,
        sealed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        previous_hash=previous_hash,
        replaces=old.hash,
        reason=reason,
    )


def require_sum(archive: Archive, old: SealedFile, new: SealedFile, going: Fingerprint) -> None:
    """Hold what stays and what goes, together, to what was sealed. Raises RewriteFailed."""
    if new.fingerprint + going != old.fingerprint:
        found = f"{new.row_count:,} rows stay and {going.row_count:,} go, {old.row_count:,} were sealed, or they differ"
        raise RewriteFailed(archive.url(old.path), f"{found} (the disk or its memory errs: look at both)")


def commit(warehouse: duckdb.DuckDBPyConnection, archive: Archive, new: SealedFile, split: Split) -> None:
    """Let the new file count in the place of the old one: this is the moment at which the rows are gone."""
    listed = require_size(archive, archive.look(new.path), new)
    with transaction(warehouse):
        add_file(warehouse, new, listed.modified_ns)
        warehouse.execute(rewrite_query("touch").format(rows=split.going()), [new.table_name])
        make_source_view(warehouse, archive, new.table_name)


def _require_event_tables(conditions: Mapping[str, str]) -> None:
    if unknown := [name for name in conditions if name not in EVENT_TABLES]:
        raise ValueError(f"no event tables: {', '.join(unknown)}")


def _require_named(warehouse: duckdb.DuckDBPyConnection, archive: Archive, conditions: Mapping[str, str]) -> None:
    """Refuse where a part that no line names has rows that should go; a killed seal's is removed, its rows are hot."""
    unnamed = archive.unnamed_parts(file.path for file in known_files(warehouse))
    refused = []
    for name in unnamed:
        table_name, condition = name.partition("/")[0], conditions.get(name.partition("/")[0])
        if condition is None:
            continue
        with archive.local(name) as path:
            split = Split(table_name, path, declared_columns()[table_name], condition)
            try:
                if fingerprint_of(warehouse, split.going(), split.columns).row_count == 0:
                    continue
                is_hot = _stays_hot(warehouse, split, _day_of(name))
            except (duckdb.Error, ValueError):
                is_hot = False
        if is_hot:
            archive.remove(name)
        else:
            refused.append(name)
    if refused:
        raise FilesNotNamed(archive.url(MANIFEST), refused)


def _stays_hot(warehouse: duckdb.DuckDBPyConnection, split: Split, day: date) -> bool:
    """Tell whether all rows that stay are hot; those that go may have gone there already."""
    query = rewrite_query("rows_not_hot").format(
        text=duckdb_text(split.columns), rows=split.staying(), table=split.table_name, **day_bounds(day)
    )
    return warehouse.execute(query).fetchall() == [(0,)]


def _day_of(name: str) -> date:
    return date.fromisoformat(Path(name).parent.name.removeprefix("received_date="))


@contextmanager
def _as_failure(url: str) -> Iterator[None]:
    try:
        yield
    except (duckdb.Error, pl.exceptions.PolarsError, OSError) as error:
        raise RewriteFailed(url, one_line(error)) from error
