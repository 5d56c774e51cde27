"""Sealed files that this warehouse does not know, taken over from the archive's manifest. Nothing is sealed here.

The warehouse file was deleted, or an older one was put back: `footfall refresh --full` makes it anew from Postgres and
from the sealed files, and a row that both have counts once. Its key is `event_id`: another Postgres counts ids anew.
"""

import duckdb

from warehouse.archive.errors import FilesNotNamed, ManifestDiffers
from warehouse.archive.fingerprint import day_bounds
from warehouse.archive.leftovers import find_leftovers
from warehouse.archive.manifest import (
    MANIFEST,
    add_file,
    complete_manifest,
    known_files,
    known_lines,
    read_chain,
    require_own,
)
from warehouse.archive.sealed_file import SealedFile, from_line, live_files
from warehouse.archive.sources import path_list, require_content, require_sealed_files, require_size
from warehouse.archive.store import Archive
from warehouse.connection import transaction
from warehouse.cursors import delete_cursor
from warehouse.lake.hot import is_in_lake
from warehouse.lake.removal import remove_hot_rows
from warehouse.queries import archive_query
from warehouse.tables import TABLES


def adopt_sealed_files(warehouse: duckdb.DuckDBPyConnection, archive: Archive) -> None:
    """Let the warehouse know all files of the manifest, after reading them; before everything is loaded anew.

    Raises ArchiveOfAnother, SealedFileDamaged, ManifestDamaged, ManifestDiffers, FilesNotNamed, and then nothing has
    changed.
    """
    known = [from_line(line) for line in known_lines(warehouse)]
    found = read_chain(archive)
    require_own(archive, warehouse, [file.line() for file in found])
    if unnamed := _unnamed(archive, known, found):
        raise FilesNotNamed(archive.url(MANIFEST), unnamed)
    if len(found) > len(known):
        if found[: len(known)] != known:
            raise ManifestDiffers(archive.url(MANIFEST))
        _adopt(warehouse, archive, found[len(known) :], {file.path for file in live_files(found)})
    complete_manifest(archive, warehouse)
    require_sealed_files(warehouse, archive)


def delete_sealed_rows(warehouse: duckdb.DuckDBPyConnection, archive: Archive, table_name: str) -> int:
    """Delete the hot rows that a sealed file of their day has too, where they were loaded; return how many.

    One day at a time, so that no more than a day's keys are in memory.
    """
    deleted = 0
    files = known_files(warehouse, table_name)
    last_day = max((file.day for file in files), default=None)
    hot_days = warehouse.execute(archive_query("hot_days").format(table=table_name), [last_day]).fetchall()
    for (day,) in hot_days:
        of_day = [file for file in files if file.day == day]
        if not of_day:
            continue
        if is_in_lake(warehouse, table_name):
            sealed = archive_query("sealed_too").format(paths=path_list(archive, of_day))
            deleted += remove_hot_rows(warehouse, archive, table_name, sealed, day=day, reason="sealed")
        else:
            query = archive_query("delete_sealed_rows").format(
                table=table_name, paths=path_list(archive, of_day), **day_bounds(day)
            )
            deleted += warehouse.execute(query).fetchall()[0][0]
    return deleted


def _unnamed(archive: Archive, known: list[SealedFile], found: list[SealedFile]) -> list[str]:
    """Find the parts that are not live, but for what a killed rewrite left."""
    unnamed = archive.unnamed_parts([file.path for file in [*live_files(known), *live_files(found)]])
    if not unnamed:
        return []
    leftovers = find_leftovers(archive, max(known, found, key=len), archive.listing())
    return [name for name in unnamed if name not in leftovers]


def _adopt(
    warehouse: duckdb.DuckDBPyConnection, archive: Archive, files: list[SealedFile], live_paths: set[str]
) -> None:
    """Take lines over; of one that is replaced there is no file."""
    listing = archive.listing()
    live = [file for file in files if file.path in live_paths]
    listed = {file.path: require_size(archive, listing.get(file.path), file) for file in live}
    for file in live:
        require_content(archive, file)
    with transaction(warehouse):
        for file in files:
            add_file(warehouse, file, listed[file.path].modified_ns if file.path in listed else 0)
        for table in TABLES:
            if table.kind == "event":
                delete_sealed_rows(warehouse, archive, table.name)
                # what was loaded up to there came from before these files: only all of it, loaded anew, is right
                delete_cursor(warehouse, table.name)
