"""Which files are sealed: `meta.sealed_files` in the warehouse, and `manifest.jsonl`, its mirror in the archive.

The table decides, for it changes in the transaction that deletes the sealed rows. The mirror outlives the warehouse
file: `warehouse.archive.adopt` makes the table anew from it. Nothing is sealed here.
"""

from collections.abc import Sequence
from contextlib import suppress

import duckdb

from warehouse.archive.errors import ArchiveOfAnother, ManifestDamaged, ManifestDiffers, WarehouseBehindArchive
from warehouse.archive.sealed_file import NO_LINE_BEFORE, SealedFile, chained, from_foreign_line, from_line, live_files
from warehouse.archive.store import Archive
from warehouse.queries import archive_query, duckdb_query

MANIFEST = "manifest.jsonl"


def known_lines(warehouse: duckdb.DuckDBPyConnection) -> list[str]:
    """Read all lines that the warehouse knows, also those that others replace, in the order of sealing."""
    return _lines(warehouse, "")


def known_files(warehouse: duckdb.DuckDBPyConnection, table_name: str | None = None) -> list[SealedFile]:
    """Read the live files that the warehouse knows, of one table or of all, in the order of sealing."""
    return live_files(from_line(line) for line in _lines(warehouse, f"{table_name}/" if table_name else ""))


def last_hash(warehouse: duckdb.DuckDBPyConnection) -> str:
    """Return what the next line has to carry."""
    lines = known_lines(warehouse)
    return from_line(lines[-1]).hash if lines else NO_LINE_BEFORE


def add_file(warehouse: duckdb.DuckDBPyConnection, file: SealedFile, modified_ns: int) -> None:
    """Add a file to the table, in the transaction that deletes its rows."""
    warehouse.execute(archive_query("insert_sealed_file"), [file.path, file.line(), modified_ns])


def manifest_lines(archive: Archive) -> list[str]:
    """Read the mirror; none where there is none. Bytes that are no text stay in it: each line's hash speaks of them."""
    return (archive.read_text(MANIFEST) or "").splitlines()


def read_manifest(archive: Archive) -> list[SealedFile]:
    """Read the live files off the mirror. Raises ManifestDamaged."""
    return live_files(read_chain(archive))


def read_chain(archive: Archive) -> list[SealedFile]:
    """Read all lines of the mirror and hold it to its own chain of hashes. Raises ManifestDamaged."""
    files: list[SealedFile] = []
    try:
        files.extend(chained(manifest_lines(archive)))
    except ValueError as error:
        raise ManifestDamaged(archive.url(MANIFEST), len(files) + 1, str(error)) from error
    return files


def complete_manifest(archive: Archive, warehouse: duckdb.DuckDBPyConnection) -> None:
    """Bring the mirror up to the table: a crash may have come between the two.

    It is written whole and swapped in, so that it is never read half. Raises WarehouseBehindArchive where the mirror
    has more, ManifestDiffers where it has something else, ArchiveOfAnother where nothing in it is of this footfall.
    """
    known, found = known_lines(warehouse), manifest_lines(archive)
    if found == known:
        return
    if found != known[: len(found)]:
        require_own(archive, warehouse, found)
        if found[: len(known)] == known:
            raise WarehouseBehindArchive(archive.url(MANIFEST), len(found) - len(known))
        raise ManifestDiffers(archive.url(MANIFEST))
    archive.staging(MANIFEST).write_text("".join(f"{line}\n" for line in known), encoding="utf-8")
    archive.put_in_place(MANIFEST)


def require_own(archive: Archive, warehouse: duckdb.DuckDBPyConnection, lines: Sequence[str]) -> None:
    """Hold the mirror's lines to the databases that this warehouse was ever loaded from or has sealed.

    A new warehouse has met none: it may be made from any archive. Raises ArchiveOfAnother.
    """
    sources = set()
    for line in lines:
        # of a damaged one others speak
        with suppress(ValueError):
            sources.add(from_foreign_line(line).source)
    met = {f"{system}/{oid}" for _, _, system, oid in warehouse.execute(duckdb_query("cursors")).fetchall()}
    met |= {from_line(line).source for line in known_lines(warehouse)}
    if sources and met and not sources & met:
        raise ArchiveOfAnother(archive.url(MANIFEST), sorted(sources))


def _lines(warehouse: duckdb.DuckDBPyConnection, path_prefix: str) -> list[str]:
    return [line for (line,) in warehouse.execute(archive_query("sealed_lines"), [path_prefix]).fetchall()]
