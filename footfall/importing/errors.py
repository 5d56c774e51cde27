"""Why a file was not imported. The class docstring is the message; nothing of such a file is in the database."""

from collections.abc import Iterable
from pathlib import Path

from footfall.errors import FootfallError


class ImportRefused(FootfallError):
    """a file was not imported"""


class FileUnreadable(ImportRefused):
    """cannot read {path}: {reason} (nothing of it was written)"""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason


class NotAWebLog(ImportRefused):
    """{path} is no web log: {unreadable} of its first {read} lines are not like the common or combined format (nothing of it was written)"""  # noqa: E501 -- the docstring is the message

    def __init__(self, path: Path, unreadable: int, read: int) -> None:
        self.path, self.unreadable, self.read = path, f"{unreadable:,}", f"{read:,}"


class UnknownFormat(ImportRefused):
    """{path}: what format is it? the name must end in {endings}"""

    def __init__(self, path: Path, endings: Iterable[str]) -> None:
        self.path, self.endings = path, ", ".join(endings)


class ColumnsWrong(ImportRefused):
    """{path} does not fit the kind {kind}: {faults} (nothing of it was written; the fields are {fields})"""

    def __init__(self, path: Path, kind: str, faults: Iterable[str], fields: Iterable[str]) -> None:
        self.path, self.kind, self.faults, self.fields = path, kind, "; ".join(faults), ", ".join(fields)


class RecordsInvalid(ImportRefused):
    """{path} holds records that are not valid, nothing of it was written: {faults}"""

    def __init__(self, path: Path, faults: Iterable[str]) -> None:
        self.path, self.faults = path, "; ".join(faults)


class DatabaseRefused(ImportRefused):
    """Postgres did not take {path}: {reason} (nothing of it was written; the import can be repeated)"""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
