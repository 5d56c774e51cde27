"""What can go wrong with a spool that is read. What a request is told stands in `ingest_app/errors.py`."""

from pathlib import Path

from ingest_app.errors import IngestError


class SpoolDamaged(IngestError):
    """{path} is damaged: {reason}"""

    def __init__(self, path: Path, reason: str) -> None:
        self.path, self.reason = path, reason
