"""What can go wrong on the write side. The class docstring is the message, data travel as attributes."""

from pathlib import Path


class IngestError(Exception):
    """Something went wrong on the write side."""

    def __str__(self) -> str:
        return (type(self).__doc__ or "").format(**vars(self))


class DatabaseUnreachable(IngestError):
    """cannot reach Postgres at {address}: {reason} (check DATABASE_URL, and that the server runs)"""

    def __init__(self, address: str, reason: str) -> None:
        self.address, self.reason = address, reason


class SchemaTooNew(IngestError):
    """the database has schema {found}, newer than this footfall knows ({newest}): upgrade footfall"""

    def __init__(self, found: str, newest: str) -> None:
        self.found, self.newest = found, newest


class SchemaNotMigrated(IngestError):
    """the database has schema {found}, this footfall needs {newest}: run `footfall migrate`"""

    def __init__(self, found: str, newest: str) -> None:
        self.found, self.newest = found, newest


class MigrationFailed(IngestError):
    """Postgres refused the migration, whole: {reason} (give footfall a database of its own, and the right to create)"""

    def __init__(self, reason: str) -> None:
        self.reason = reason


class SettingRefused(IngestError):
    """the setting was refused"""


class UnknownSetting(SettingRefused):
    """there is no setting {key!r}, but these: {known}"""

    def __init__(self, key: str, known: str) -> None:
        self.key, self.known = key, known


class SettingValueRefused(SettingRefused):
    """{key} cannot be {value!r}: it is {allowed}"""

    def __init__(self, key: str, value: str, allowed: str) -> None:
        self.key, self.value, self.allowed = key, value, allowed


class RuleRefused(IngestError):
    """{field} cannot be {value!r}: it is {allowed}"""

    def __init__(self, field: str, value: object, allowed: str) -> None:
        self.field, self.value, self.allowed = field, value, allowed


class RequestRefused(IngestError):
    """{message}"""

    status = 400
    code = "bad_request"
    retry_after_seconds: int | None = None

    def __init__(self, message: str, field: str | None = None) -> None:
        self.message, self.field = message, field


class InvalidRecord(RequestRefused):
    """{message}"""

    code = "invalid_record"


class BodyTooLarge(RequestRefused):
    """{message}"""

    status = 413
    code = "too_large"


class NotAuthenticated(RequestRefused):
    """{message}"""

    status = 401
    code = "not_authenticated"


class NotAllowed(RequestRefused):
    """{message}"""

    status = 403
    code = "not_allowed"


class OriginMalformed(IngestError):
    """{origin!r} is no origin: write it as browsers send it, like https://app.example or http://localhost:5173"""

    def __init__(self, origin: str) -> None:
        self.origin = origin


class OriginNotAllowed(RequestRefused):
    """{message}"""

    status = 403
    code = "origin_not_allowed"


class TooManyRequests(RequestRefused):
    """this key may send {requests_per_second:,} requests a second: send again later, or more records in a request"""

    status = 429
    code = "too_many_requests"

    def __init__(self, requests_per_second: int, retry_after_seconds: int) -> None:
        super().__init__("")
        self.requests_per_second, self.retry_after_seconds = requests_per_second, retry_after_seconds


class NotFound(RequestRefused):
    """{message}"""

    status = 404
    code = "not_found"


class SpoolFull(RequestRefused):
    """the disk of the spool is nearly full, nothing was kept: send it again later"""

    status = 503
    code = "disk_full"
    retry_after_seconds = 30

    def __init__(self) -> None:
        super().__init__("")


class SpoolFailed(RequestRefused):
    """the spool cannot be written ({reason}), nothing was kept: send it again later"""

    status = 503
    code = "spool_unavailable"
    retry_after_seconds = 5

    def __init__(self, reason: str) -> None:
        super().__init__("")
        self.reason = reason


class NotReady(RequestRefused):
    """this worker does not know its keys and switches: send it again later"""

    status = 503
    code = "not_ready"
    retry_after_seconds = 5

    def __init__(self) -> None:
        super().__init__("")


class CountryTableUnreadable(IngestError):
    """the country table {path} cannot be read: {reason}"""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
