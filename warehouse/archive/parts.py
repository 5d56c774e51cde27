"""What the parts of a day add up to: the one figure that Postgres's rows of that day are held against. No rows here."""

from collections.abc import Mapping, Sequence

from warehouse.archive.fingerprint import file_fingerprint
from warehouse.archive.sealed_file import Fingerprint, SealedFile
from warehouse.archive.store import Archive


def shared_columns(parts: Sequence[SealedFile]) -> dict[str, str]:
    """Return the columns that all parts have, as the newest has them: an older footfall sealed fewer."""
    *_, newest = parts
    return {column: kind for column, kind in newest.columns.items() if all(column in part.columns for part in parts)}


def sum_of_parts(archive: Archive, parts: Sequence[SealedFile], columns: Mapping[str, str]) -> Fingerprint:
    """Add up parts; one that was sealed with more columns than these is read again."""
    total = Fingerprint(0, 0)
    for part in parts:
        if list(part.columns) == list(columns):
            total += part.fingerprint
        else:
            with archive.local(part.path) as path:
                total += file_fingerprint(path, columns)[0]
    return total
