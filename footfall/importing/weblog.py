"""A web log as visits: a line is a guest's `visit` in `tracking_events`, a person's also a row of `visitor_sessions`.

What is kept of a line: the path without query, method, status, bytes, the referrer's host, and hashes. Never the
address, the query, the user agent's text or the user's name.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache, partial
from itertools import islice
from pathlib import Path
from typing import IO

from sqlalchemy import Connection

from footfall.importing.errors import NotAWebLog
from footfall.importing.event_ids import EventIds
from footfall.importing.files import open_text, require_readable
from footfall.importing.known import are_known
from footfall.importing.log_line import LogLine, parse
from footfall.importing.source import ROWS_PER_BATCH, Batch
from ingest_app.kinds import KINDS, Receipt, Row
from ingest_app.privacy import Sender, identify, keyed_hash
from ingest_app.records import Event
from ingest_app.schema import tracking_events

LINE_LENGTH = 65_536
EVENT_NAME_LENGTH = 100
# equal lines carry the same second, and a server that writes late does so by minutes, not by so many lines
FORGET_AFTER_LINES = 200_000
# a log with one readable line in ten is a log in trouble, not another kind of file
READABLE_SHARE = 0.1
FIRST_LOOK_LINES = 1_000


@dataclass(frozen=True, slots=True)
class WebLog:
    """A log of the app `app_name`; `secret` is the key of all hashes, the event ids' too.

    Lines are counted a file: the lines that two overlapping files share are the same events. An event's id is a
    keyed hash, for a plain one would give away the address to whoever tries all four billion.
    """

    path: Path
    app_name: str
    secret: str

    def check(self) -> None:
        """Raise FileUnreadable."""
        require_readable(self.path)

    def batches(self) -> Iterator[Batch]:
        """Read the log. Raises FileUnreadable and NotAWebLog."""
        reader = _Reader(self.app_name, self.secret)
        size = max(self.path.stat().st_size, 1)
        read_count = unreadable_count = 0
        with open_text(self.path, errors="replace") as (text, raw):
            lines = _lines(text)
            while chunk := list(islice(lines, ROWS_PER_BATCH)):
                batch = reader.read(chunk, raw.tell() / size)
                read_count += batch.read_count
                unreadable_count += len(batch.faults)
                is_readable = read_count - unreadable_count >= READABLE_SHARE * read_count
                if not is_readable and read_count >= FIRST_LOOK_LINES:
                    raise NotAWebLog(self.path, unreadable_count, read_count)
                yield batch
            if read_count and not is_readable:
                raise NotAWebLog(self.path, unreadable_count, read_count)

    def write(self, connection: Connection, batch: Batch) -> int:
        """Write the visits. The visitors of a batch without a new visit were written when its visits were."""
        if are_known(connection, tracking_events.name, batch.rows):
            return 0
        new_count = KINDS["events"].write_rows(connection, batch.rows)
        if new_count and batch.visitors:
            KINDS["track-visit"].write_rows(connection, batch.visitors)
        return new_count


def _lines(text: IO[str]) -> Iterator[tuple[int, str]]:
    """Number the lines and leave out blank ones. A file without line ends comes in pieces, not whole into memory."""
    for number, line in enumerate(iter(partial(text.readline, LINE_LENGTH), ""), start=1):
        if stripped := line.rstrip("\r\n").replace("\x00", "\ufffd"):
            yield number, stripped


class _Reader:
    """Turns lines into rows; remembers equal lines and the last senders of this one file."""

    def __init__(self, app_name: str, secret: str) -> None:
        self._app_name, self._secret = app_name, secret
        self._ids = EventIds(FORGET_AFTER_LINES, secret)
        self._now = datetime.now(UTC)
        self._who = lru_cache(maxsize=10_000)(self._identify)

    def read(self, lines: list[tuple[int, str]], share_read: float) -> Batch:
        rows: list[Row] = []
        visitors: list[Row] = []
        faults: list[str] = []
        for number, line in lines:
            try:
                visit, visitor = self._rows(line, parse(line))
            except ValueError as error:
                faults.append(f"line {number}: {error}")
                continue
            rows.append(visit)
            if not visit["is_bot"]:
                visitors.append(visitor)
        return Batch(rows, len(lines), share_read, visitors, len(rows) - len(visitors), faults)

    def _rows(self, line: str, logged: LogLine) -> tuple[Row, Row]:
        sender, session_id = self._who(logged.ip, logged.agent)
        event = Event(
            event_id=self._ids.id_of(f"{self._app_name}\n{line}".encode()),
            user_type="guest",
            app_name=self._app_name,
            event_type="visit",
            event_name=logged.path[:EVENT_NAME_LENGTH],
            session_id=session_id,
            meta=_meta(logged),
            created_at=logged.logged_at,
        )
        visit = KINDS["events"].to_row(event, Receipt(self._now, sender))
        visitor = {
            "session_id": session_id,
            "ip_hash": sender.ip_hash,
            "ua_hash": sender.ua_hash,
            "first_seen_at": visit["created_at"],
            "last_seen_at": visit["created_at"],
        }
        return visit, visitor

    def _identify(self, ip: str, agent: str | None) -> tuple[Sender, str]:
        return identify(self._secret, ip, agent), keyed_hash(self._secret, f"{ip}|{agent or ''}")


def _meta(logged: LogLine) -> Row:
    meta = {
        "method": logged.method,
        "status": logged.status,
        "bytes": logged.size_bytes,
        "path": logged.path,
        "referrer_host": logged.referrer_host,
    }
    return {name: value for name, value in meta.items() if value is not None}
