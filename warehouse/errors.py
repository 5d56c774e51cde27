"""What can go wrong on the DuckDB side. The class docstring is the message, data travel as attributes."""

import re
from collections.abc import Sequence


class WarehouseError(Exception):
    """Something went wrong in the warehouse."""

    def __str__(self) -> str:
        return (type(self).__doc__ or "").format(**vars(self))


class PostgresUnreachable(WarehouseError):
    """cannot reach Postgres at {address}: {reason} (check DATABASE_URL, and that the server runs)"""

    def __init__(self, address: str, reason: str) -> None:
        self.address, self.reason = address, reason


class PostgresQueryFailed(WarehouseError):
    """Postgres refused to {purpose}: {reason} ({remedy})"""

    def __init__(
        self, purpose: str, reason: str, remedy: str = "if the schema is not up to date, run `footfall migrate`"
    ) -> None:
        self.purpose, self.reason, self.remedy = purpose, reason, remedy


class SchemaMissing(WarehouseError):
    """Postgres lacks {missing}{instead}: run `footfall migrate`; what was changed by hand must be changed back"""

    def __init__(self, missing: str, unknown: str = "") -> None:
        self.missing, self.instead = missing, f" and has {unknown}" if unknown else ""


class SchemaUnknown(WarehouseError):
    """Postgres has {unknown}, which this footfall would not load: upgrade footfall"""

    def __init__(self, unknown: str) -> None:
        self.unknown = unknown


class TableOfAnotherKind(WarehouseError):
    """{table} is {found} in Postgres, not {wanted}: put {wanted} back in its place, then `footfall refresh --full`"""

    def __init__(self, table: str, found: str, wanted: str) -> None:
        self.table, self.found, self.wanted = table, found, wanted


class XidNotKept(WarehouseError):
    """Postgres does not note the xid of changes in {tables}: {remedy}, then `footfall refresh --full`"""

    def __init__(self, tables: str) -> None:
        self.tables = tables
        self.remedy = "bring back the trigger set_xid (`ALTER TABLE … ENABLE TRIGGER set_xid`) or the default of xid"


class PartitionDetached(WarehouseError):
    """{partition} has rows that are not loaded and is no partition of {table}: {command}"""

    def __init__(self, table: str, partition: str, command: str) -> None:
        self.table, self.partition, self.command = table, partition, f"attach it again with `{command}`"


class WarehouseOutdated(WarehouseError):
    """raw.{table} in {path} has other columns than this footfall loads: run `footfall refresh --full`"""

    def __init__(self, table: str, path: object) -> None:
        self.table, self.path = table, path


class OtherDatabase(WarehouseError):
    """the warehouse holds Postgres {loaded_from}, not {found}: check DATABASE_URL, or `footfall refresh --full`"""

    def __init__(self, loaded_from: str, found: str) -> None:
        self.loaded_from, self.found = loaded_from, found


class OtherPast(WarehouseError):
    """Postgres is not what was loaded: run `footfall refresh --full`"""


class SnapshotWentBack(OtherPast):
    """{table} is loaded up to transaction {loaded}, Postgres is at {found}: run `footfall refresh --full`"""

    def __init__(self, table: str, loaded: int, found: int) -> None:
        self.table, self.loaded, self.found = table, loaded, found


class RowsDiffer(OtherPast):
    """{table} has other rows in Postgres than were loaded: {found}; {remedy}"""

    def __init__(self, table: str, found: str) -> None:
        self.table, self.found = table, found
        self.remedy = (
            "an earlier state of Postgres was put back, or somebody changed rows by hand: look what Postgres has lost, "
            "then run `footfall refresh --full`, which takes what it has now"
        )


class StillStopped(OtherPast):
    """{words}"""

    def __init__(self, words: str) -> None:
        self.words = words


class ErasureUnfinished(WarehouseError):
    """nothing comes in or back, for {subject} is being erased: if that was broken off, run `{command}` again"""

    def __init__(self, subject: str, command: str) -> None:
        self.subject, self.command = subject, command


class RowsFromTheFuture(WarehouseError):
    """{table} has restored rows whose xid this Postgres has yet to reach: run `footfall refresh --full`"""

    def __init__(self, table: str) -> None:
        self.table = table


class LoadFailed(WarehouseError):
    """the load of {table} failed and was undone, the next load takes the same rows: {reason}"""

    def __init__(self, table: str, reason: str) -> None:
        self.table, self.reason = table, reason


class WarehouseUnusable(WarehouseError):
    """cannot open {path}: {reason}"""

    def __init__(self, path: object, reason: str) -> None:
        self.path, self.reason = path, reason


class WriterBusy(WarehouseError):
    """another process writes {path}: {holder} (wait for it to end, then try again)"""

    def __init__(self, path: object, holder: str) -> None:
        self.path, self.holder = path, holder


class NothingToPublish(WarehouseError):
    """there is no mart in {path}, so there is nothing to publish: run `footfall refresh`"""

    def __init__(self, path: object) -> None:
        self.path = path


class TablesNotLoaded(WarehouseError):
    """nothing is built, for {tables} {are} not loaded yet: run `footfall refresh`"""

    def __init__(self, tables: Sequence[str]) -> None:
        self.tables, self.are = ", ".join(tables), "is" if len(tables) == 1 else "are"


class BuildNotPassed(WarehouseError):
    """the marts in {path} are not published: their build did not end, or a check failed (see its run in Dagster)"""

    def __init__(self, path: object) -> None:
        self.path = path


class BuildOvertaken(WarehouseError):
    """the marts in {path} are not published here: run {found} has built them since, its own publish follows"""

    def __init__(self, path: object, found: str) -> None:
        self.path, self.found = path, found


class HistoriesUnreadable(WarehouseError):
    """cannot take over the histories of live users and subscriptions from {path}: {reason} ({remedy})"""

    def __init__(self, path: object, reason: str) -> None:
        self.path, self.reason = path, reason
        self.remedy = "put back a copy that can be read, or move it away and the histories begin anew"


class PublishFailed(WarehouseError):
    """the marts were not published, {path} is as it was: {reason}"""

    def __init__(self, path: object, reason: str) -> None:
        self.path, self.reason = path, reason


class SettingUnusable(WarehouseError):
    """the setting {key} is {value!r}, not {allowed}: mend it in Postgres's table admin_settings"""

    def __init__(self, key: str, value: str, allowed: str = "a whole number above 0") -> None:
        self.key, self.value, self.allowed = key, value, allowed


def one_line(error: BaseException) -> str:
    """Fold a driver's message, which runs over several lines, into one: without the query, or a traceback of ours."""
    return " ".join(re.split(r"Query was:|Detail: Python exception: Traceback", str(error))[0].split())
