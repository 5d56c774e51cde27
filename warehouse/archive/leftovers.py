"""What a rewrite that was killed leaves in the archive, told from what may be the only copy of rows. No rewriting here.

It leaves a rewritten part that no line names yet, or the replaced file that was to go. Either can go as soon as the
live file is read and found whole, for that has all rows that count. Whatever else no live line names is no leftover: a
manifest that lost lines leaves such files too.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import duckdb

from warehouse.archive.fingerprint import duckdb_text, sha256_of
from warehouse.archive.sealed_file import SealedFile, live_files
from warehouse.archive.store import Archive, Listed
from warehouse.connection import literal
from warehouse.queries import rewrite_query


def remove_leftovers(archive: Archive, lines: Sequence[SealedFile], listing: Mapping[str, Listed]) -> list[str]:
    """Remove them and return their names; `lines` are all that there are, and the mirror has them too."""
    leftovers = find_leftovers(archive, lines, listing)
    for name in leftovers:
        archive.remove(name)
    return leftovers


def find_leftovers(archive: Archive, lines: Sequence[SealedFile], listing: Mapping[str, Listed]) -> list[str]:
    """Name them. Costs nothing where there is none."""
    live = live_files(lines)
    named = {file.path for file in lines}
    unfinished = [
        file.next_path
        for file in live
        if file.next_path in listing and file.next_path not in named and _has_all_of(archive, file, file.next_path)
    ]
    live_paths = {file.path for file in live}
    successors = {file.replaces: file for file in lines if file.replaces}
    gone = [file for file in lines if file.path in listing and file.path not in live_paths] if successors else []
    replaced = [
        file.path for file in gone if is_whole(archive, file) and is_whole(archive, _live_successor(file, successors))
    ]
    return unfinished + replaced


def is_whole(archive: Archive, file: SealedFile) -> bool:
    """Tell whether a file has the very content that its line says."""
    try:
        with archive.local(file.path) as path:
            return sha256_of(path) == file.sha256
    except OSError:
        return False


def _live_successor(file: SealedFile, successors: Mapping[str, SealedFile]) -> SealedFile:
    while file.hash in successors:
        file = successors[file.hash]
    return file


def _has_all_of(archive: Archive, file: SealedFile, name: str) -> bool:
    """Tell whether a live file is whole and has every row of another one, which may be damaged."""
    if not is_whole(archive, file):
        return False
    try:
        with archive.local(file.path) as whole, archive.local(name) as other:
            return not _count_beyond(other, whole, file)
    except (duckdb.Error, OSError):
        return False


def _count_beyond(other: Path, whole: Path, file: SealedFile) -> int:
    query = rewrite_query("rows_beyond").format(
        text=duckdb_text(file.columns), these=literal(str(other)), those=literal(str(whole))
    )
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        return int(engine.execute(query).fetchall()[0][0])
