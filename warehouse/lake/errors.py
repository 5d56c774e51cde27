"""What can go wrong with the lake. The class docstring is the message, data travel as attributes."""

from warehouse.archive.errors import ArchiveError


class HotRowsNotInLake(ArchiveError):
    """{table} has hot rows in warehouse.duckdb, and not in the lake: run `footfall refresh`, which brings them there"""

    def __init__(self, table: str) -> None:
        self.table = table


class LakeNotLocal(ArchiveError):
    """the lake at {address} is no folder: FOOTFALL_ARCHIVE has to be a folder that all machines reach by one path"""

    def __init__(self, address: str) -> None:
        self.address = address


class HotFileDamaged(ArchiveError):
    """{path} {fault}, and it holds rows of a day that is not sealed: run `footfall refresh --full`"""

    def __init__(self, path: str, fault: str) -> None:
        self.path, self.fault = path, fault
