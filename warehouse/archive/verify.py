"""Reads every sealed file and holds it to the manifest, and the manifest to itself. Needs no warehouse file.

It may run beside a refresh or a seal; but a file that is being sealed is one that no line names yet.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from warehouse.archive.fingerprint import ROW_GROUP_ROWS, file_fingerprint, sha256_of
from warehouse.archive.leftovers import find_leftovers
from warehouse.archive.loose import loose_files
from warehouse.archive.manifest import MANIFEST, manifest_lines
from warehouse.archive.sealed_file import NO_LINE_BEFORE, SealedFile, from_foreign_line, live_files, take
from warehouse.archive.sources import size_fault
from warehouse.archive.store import Archive, Listed
from warehouse.errors import one_line

RESTORE = "put it back from a backup"
NOT_NAMED = (
    "do not delete it; if the next refresh does not name it, lines are lost: put back the manifest from a backup"
)
LEFT_OVER = "the next refresh removes it"


@dataclass(frozen=True)
class Finding:
    """What was found about a file or a line of the manifest; `fault` is None where it is good."""

    subject: str
    fault: str | None = None
    advice: str = ""
    row_count: int = 0
    byte_count: int = 0


def list_files(archive: Archive) -> list[tuple[SealedFile, str]]:
    """Return each live file with its state: `sealed`, or what is wrong with it at a glance."""
    files = live_files(_good_lines(archive))
    listing = archive.listing()
    return [(file, size_fault(listing.get(file.path), file) or "sealed") for file in files]


def verify_files(archive: Archive) -> Iterator[Finding]:
    """Yield a finding for each line that is wrong and for each live file, as each is done."""
    lines = list(_lines(archive))
    listing = archive.listing()
    yield from (finding for _, finding in lines if finding is not None)
    for file in live_files(file for file, _ in lines if file is not None):
        yield _verified(archive, listing, file)


def unnamed_files(archive: Archive) -> Iterator[Finding]:
    """Yield a finding for each part that is not live; the caller sees to it that no seal or rewrite is under way."""
    lines = _good_lines(archive)
    unnamed = archive.unnamed_parts(file.path for file in live_files(lines))
    leftovers = find_leftovers(archive, lines, archive.listing()) if unnamed else []
    for path in unnamed:
        if path in leftovers:
            yield Finding(path, "was left by a rewrite that was stopped", LEFT_OVER)
        else:
            yield Finding(path, f"is in no line of {MANIFEST}", NOT_NAMED)


def files_kept_aside(archive: Archive) -> Iterator[Finding]:
    """Yield a finding for each file that was kept because it may be the only copy of rows; the caller as above."""
    for name, _ in loose_files(archive):
        try:
            with archive.local(name) as path:
                yield Finding(name, row_count=_read_whole(path), byte_count=path.stat().st_size)
        except (OSError, pl.exceptions.PolarsError) as error:
            yield Finding(name, f"is kept aside and cannot be read: {one_line(error)}", RESTORE)


def file_fault(archive: Archive, file: SealedFile) -> str | None:
    """Read a file whole and say what is wrong with it, if anything is."""
    return size_fault(archive.look(file.path), file) or _content_fault(archive, file)


def _lines(archive: Archive) -> Iterator[tuple[SealedFile | None, Finding | None]]:
    """Read line by line, on behind one that is wrong."""
    previous_hash: str | None = NO_LINE_BEFORE
    live: dict[str, SealedFile] = {}
    for number, line in enumerate(manifest_lines(archive), start=1):
        subject = f"{MANIFEST}, line {number}"
        try:
            file = from_foreign_line(line)
        except ValueError as error:
            previous_hash = None
            yield None, Finding(subject, str(error), RESTORE)
            continue
        fault = None if previous_hash in {None, file.previous_hash} else "the line before it is another or is missing"
        try:
            take(live, file)
        except ValueError as error:
            fault = fault or str(error)
        previous_hash = file.hash
        yield file, Finding(subject, fault, RESTORE) if fault else None


def _good_lines(archive: Archive) -> list[SealedFile]:
    return [file for file, _ in _lines(archive) if file is not None]


def _verified(archive: Archive, listing: Mapping[str, Listed], file: SealedFile) -> Finding:
    """Verify a file, or the one that has replaced it since the manifest was read."""
    fault = size_fault(listing.get(file.path), file) or _content_fault(archive, file)
    while fault:
        later = [line for line in _good_lines(archive) if line.replaces == file.hash]
        if not later:
            return Finding(file.path, fault, RESTORE)
        file = later[0]
        fault = file_fault(archive, file)
    return Finding(file.path, row_count=file.row_count, byte_count=file.byte_count)


def _read_whole(path: Path) -> int:
    """Read all rows, some at a time, and count them. Nothing says what they were."""
    frames = pl.scan_parquet(path)
    row_count = int(frames.select(pl.len()).collect().item())
    return sum(frames.slice(offset, ROW_GROUP_ROWS).collect().height for offset in range(0, row_count, ROW_GROUP_ROWS))


def _content_fault(archive: Archive, file: SealedFile) -> str | None:
    try:
        with archive.local(file.path) as path:
            if sha256_of(path) != file.sha256:
                return "its content has changed since it was sealed (sha256)"
            found, _ = file_fingerprint(path, file.columns)
    except (OSError, pl.exceptions.PolarsError) as error:
        return f"cannot be read: {one_line(error)}"
    if found != file.fingerprint:
        return f"has {found.row_count:,} rows of digest {found.digest}, not {file.row_count:,} of {file.digest}"
    return None
