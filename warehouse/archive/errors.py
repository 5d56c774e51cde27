"""What can go wrong with sealed days. The class docstring is the message, data travel as attributes."""

from collections.abc import Sequence
from datetime import date

from warehouse.errors import WarehouseError


class ArchiveError(WarehouseError):
    """Something is wrong in the archive."""


class ArchiveAddressWrong(ArchiveError):
    """FOOTFALL_ARCHIVE {fault}"""

    def __init__(self, fault: str) -> None:
        self.fault = fault


class BucketMissing(ArchiveError):
    """there is no bucket for the archive {address}: make it, or put FOOTFALL_ARCHIVE right"""

    def __init__(self, address: str) -> None:
        self.address = address


class ArchiveUnusable(ArchiveError):
    """the archive {address} does not {purpose}: {reason} ({advice})"""

    def __init__(self, address: str, purpose: str, reason: str, advice: str) -> None:
        self.address, self.purpose, self.reason, self.advice = address, purpose, reason, advice


class DayDiffers(ArchiveError):
    """{table} of {day} is not sealed and nothing is deleted: {found} ({advice})"""

    def __init__(self, table: str, day: date, found: str, advice: str) -> None:
        self.table, self.day, self.found, self.advice = table, day, found, advice


class DaysNotSealed(ArchiveError):
    """{count} days are not sealed and lost nothing, the others were sealed: {reasons}"""

    def __init__(self, reasons: Sequence[DayDiffers]) -> None:
        self.count, self.reasons = len(reasons), "; ".join(map(str, reasons))


class SealFailed(ArchiveError):
    """the seal of {table} of {day} stopped, no row is lost, the next seal tries again: {reason}"""

    def __init__(self, table: str, day: date, reason: str) -> None:
        self.table, self.day, self.reason = table, day, reason


class RewriteFailed(ArchiveError):
    """{path} was not rewritten and is as it was, files before it are done (run it again): {reason}"""

    def __init__(self, path: str, reason: str) -> None:
        self.path, self.reason = path, reason


class LooseFilesStay(ArchiveError):
    """{count} files that no line of the manifest names could not be searched and are as they were: {reasons} (mend them or move them out of the archive, then run it again)"""  # noqa: E501

    def __init__(self, reasons: Sequence[RewriteFailed]) -> None:
        self.count, self.reasons = len(reasons), "; ".join(f"{one.path}: {one.reason}" for one in reasons)


class SealedFileDamaged(ArchiveError):
    """{path} {fault}: nothing is rebuilt from less than its source (put it back, `footfall archive verify` helps)"""

    def __init__(self, path: str, fault: str) -> None:
        self.path, self.fault = path, fault


class WarehouseBehindArchive(ArchiveError):
    """{manifest} names {count} sealed files that the warehouse does not know: run `footfall refresh --full`"""

    def __init__(self, manifest: str, count: int) -> None:
        self.manifest, self.count = manifest, count


class ArchiveOfAnother(ArchiveError):
    """{manifest} was sealed from the Postgres {sources}, which this warehouse has never met: it is probably another footfall's, so give this one a FOOTFALL_ARCHIVE of its own (if this Postgres has taken that one's place: remove warehouse.duckdb, then run `footfall refresh --full`)"""  # noqa: E501

    def __init__(self, manifest: str, sources: Sequence[str]) -> None:
        self.manifest, self.sources = manifest, ", ".join(sources)


class ManifestDiffers(ArchiveError):
    """{manifest} and the warehouse know other sealed files: put back the manifest, or move it away if that is wrong"""

    def __init__(self, manifest: str) -> None:
        self.manifest = manifest


class FilesNotNamed(ArchiveError):
    """{manifest} does not name {files}: lines of it are missing, and their rows would be too (put back the manifest of the same age, or move these files out of the archive if their rows are elsewhere)"""  # noqa: E501

    def __init__(self, manifest: str, files: Sequence[str]) -> None:
        some = ", ".join(files[:3])
        self.manifest, self.files = manifest, f"{some} and {len(files) - 3} more" if len(files) > 3 else some


class ManifestDamaged(ArchiveError):
    """{manifest}, line {line_number}: {fault} (put it back from a backup, see `footfall archive verify`)"""

    def __init__(self, manifest: str, line_number: int, fault: str) -> None:
        self.manifest, self.line_number, self.fault = manifest, line_number, fault


class DayStays(ArchiveError):
    """{table} of {day} stays in Postgres: {reason}"""

    def __init__(self, table: str, day: date, reason: str) -> None:
        self.table, self.day, self.reason = table, day, reason


class DayHeldUp(DayStays):
    """{table} of {day} {reason}"""

    def __init__(self, table: str, day: date, where: str, whom: str) -> None:
        end = "it has to commit, or `SELECT pg_terminate_backend(PID)`, of a prepared one `ROLLBACK PREPARED`"
        super().__init__(table, day, f"{where}: it waits for {whom} ({end})")


class DaysStay(ArchiveError):
    """{count} {days} in Postgres that {are} due, what else was due has left: {reasons}"""

    def __init__(self, reasons: Sequence[DayStays]) -> None:
        self.count, self.reasons = len(reasons), "; ".join(map(str, reasons))
        self.days, self.are = ("day stays", "is") if len(reasons) == 1 else ("days stay", "are")


class DaysNotArchived(ArchiveError):
    """{days} {are} not in the archive{of_table}: {nearest}"""

    def __init__(self, days: Sequence[date], table: str | None, nearest: Sequence[date]) -> None:
        self.days, self.are = ", ".join(map(str, days)), "is" if len(days) == 1 else "are"
        self.of_table = f" of {table}" if table else ""
        self.nearest = f"the nearest days that are there: {', '.join(map(str, nearest))}" if nearest else "no day is"


class NotRestored(ArchiveError):
    """{what} not restored, nothing was written: {reason}"""

    def __init__(self, what: str, reason: str) -> None:
        self.what, self.reason = what, reason
