"""What can go wrong while the demo sends. The class docstring is the message, data travel as attributes."""

from footfall.errors import FootfallError


class DemoFailed(FootfallError):
    """the demo could not go on"""


class IngestUnreachable(DemoFailed):
    """{endpoint} gave no answer after {attempts} attempts: {reason} (is the ingest app running at {url}?)"""

    def __init__(self, endpoint: str, url: str, attempts: int, reason: str) -> None:
        self.endpoint, self.url, self.attempts, self.reason = endpoint, url, attempts, reason


class RecordsRefused(DemoFailed):
    """{endpoint} answered {status} to {count} records: {problem} (see the log of the ingest app)"""

    def __init__(self, endpoint: str, status: int, count: int, problem: str) -> None:
        self.endpoint, self.status, self.count, self.problem = endpoint, status, count, problem


class RecordsMiscounted(DemoFailed):
    """{endpoint} got {sent} records but tells of {told} (accepted and dropped together)"""

    def __init__(self, endpoint: str, sent: int, told: int) -> None:
        self.endpoint, self.sent, self.told = endpoint, sent, told


class NothingPublished(DemoFailed):
    """there is no published file {path}: run `footfall refresh`"""

    def __init__(self, path: object) -> None:
        self.path = path
