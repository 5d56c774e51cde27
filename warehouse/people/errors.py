"""What can go wrong while a person is erased or exported. The class docstring is the message."""

from warehouse.errors import WarehouseError


class PeopleError(WarehouseError):
    """Something went wrong with what is held on a person."""


class ErasureUnderWay(PeopleError):
    """another `footfall erase` is under way on this Postgres: wait for it to end, then try again"""


class OtherErasureUnfinished(PeopleError):
    """the erasure of {subject} was begun and not ended: run `footfall erase {option}` first"""

    def __init__(self, subject: object, option: str) -> None:
        self.subject, self.option = subject, option


class RemovalFailed(PeopleError):
    """nothing of {subject} was removed from {store} this time: {reason} (run `footfall erase {option}` again)"""

    def __init__(self, subject: object, option: str, store: str, reason: str) -> None:
        self.subject, self.option, self.store, self.reason = subject, option, store, reason


class NotRebuilt(PeopleError):
    """all rows of {subject} are removed from Postgres, warehouse and archive, but analytics.duckdb still shows tables that were made with them: {reason} (mend that, then run `footfall erase {option}` again, which refreshes and searches)"""  # noqa: E501

    def __init__(self, subject: object, option: str, reason: object) -> None:
        self.subject, self.option, self.reason = subject, option, reason


class ExportFailed(PeopleError):
    """nothing was written to {path}: {reason}"""

    def __init__(self, path: object, reason: str) -> None:
        self.path, self.reason = path, reason


class NotCompacted(PeopleError):
    """deleted rows stay in the free room of {path}, which was not written anew: {reason} (run the command again)"""

    def __init__(self, path: object, reason: str) -> None:
        self.path, self.reason = path, reason
