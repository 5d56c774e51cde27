"""The watcher: a canary a minute, and twice a minute a look, what it means, and who is told. One a home folder.

It must work while Postgres, Dagster or both are away: nothing it needs is theirs.
"""

import logging
import os
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from sqlalchemy.exc import SQLAlchemyError

from footfall.errors import AlreadyWatched, NotDelivered
from footfall.settings import Settings
from footfall.watch.alerts import News, open_counts
from footfall.watch.book import LOCK, Book
from footfall.watch.canary import Canary
from footfall.watch.email import Email
from footfall.watch.lags import Lookout
from footfall.watch.metrics import WatchMetrics
from footfall.watch.problems import RULES, judge
from footfall.watch.settings import WatchSettings
from footfall.watch.webhook import Webhook
from ingest_app.errors import DatabaseUnreachable
from ingest_app.logs import describe
from ingest_app.spool.files import take_lock

FIRST_CANARY_SECONDS = 30.0
CANARY_SECONDS = 60.0
LOOK_SECONDS = 30.0
# what a way that was away for days has missed is no message that anybody takes
LINES_AT_ONCE = 50
KINDS = tuple(rule.kind for rule in RULES)

log = logging.getLogger("footfall.watch")


class Channel(Protocol):
    """A way by which people are told."""

    name: str

    def send(self, subject: str, lines: list[str]) -> None:
        """Send one message. Raises NotDelivered."""


def channels(settings: WatchSettings) -> list[Channel]:
    """Return the ways that the settings name; there may be none."""
    found: list[Channel] = []
    if settings.webhook:
        found.append(Webhook(settings.webhook))
    if settings.smtp_url:
        found.append(Email(settings.smtp_url, settings.sender, settings.recipients))
    return found


class Watcher:
    """Looks at one footfall and tells of what is wrong."""

    def __init__(self, settings: Settings, watching: WatchSettings) -> None:
        """Go on where the last watcher of this home ended."""
        self._lookout = Lookout(settings, watching.ingest_url)
        self._channels = channels(watching)
        self._book = Book(settings.home, [channel.name for channel in self._channels])
        self._canary = Canary(settings.home, self._lookout.ingest_url)
        self._metrics = WatchMetrics(watching.metrics_folder)

    def look(self) -> list[News]:
        """Look once, note what is wrong, and send what is not sent yet."""
        look = self._lookout.look()
        news = self._book.note(judge(look), look.at)
        for one in news:
            log.warning("%s", one, extra={"kind": one.alert.kind, "subject": one.alert.subject})
        self._metrics.show(look, open_counts(self._book.alerts, KINDS))
        for channel in self._channels:
            self._send(channel)
        return news

    def send_canary(self) -> None:
        """Send one; what goes wrong is noted beside it, and shows as its age."""
        engine = None
        try:
            engine = self._lookout.engine()
            sent = self._canary.send(engine)
        except (DatabaseUnreachable, SQLAlchemyError, OSError) as error:
            log.warning("no canary was sent: %s", describe(error))
            return
        finally:
            if engine is not None:
                engine.dispose()
        if sent.fault and not sent.is_dropped:
            log.warning("the canary was not taken: %s", sent.fault)

    def _send(self, channel: Channel) -> None:
        lines = self._book.unsent(channel.name)[:LINES_AT_ONCE]
        if not lines:
            return
        try:
            channel.send(headline(lines), lines)
        except NotDelivered as error:
            log.warning("%s; it is tried again", error)
        else:
            self._book.sent(channel.name, len(lines))


def headline(lines: Sequence[str]) -> str:
    """Say in a few words whose alerts these are and how many."""
    bad = sum(not line.startswith("resolved") for line in lines)
    what = f"{bad} open" if bad else "resolved"
    return f"footfall on {socket.gethostname()}: {what}"


def watch(settings: Settings, watching: WatchSettings, stop: threading.Event) -> None:
    """Watch until `stop`. Raises AlreadyWatched."""
    with _only_one(settings.home):
        watcher = Watcher(settings, watching)
        # apart, for a slow mail server must not hold it up
        canaries = threading.Thread(
            target=_each, args=(watcher.send_canary, CANARY_SECONDS, FIRST_CANARY_SECONDS, stop)
        )
        canaries.start()
        try:
            _each(watcher.look, LOOK_SECONDS, 0, stop)
        finally:
            stop.set()
            canaries.join()


def _each(act: Callable[[], object], seconds: float, first: float, stop: threading.Event) -> None:
    pause = first
    while not stop.wait(pause):
        act()
        pause = seconds


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    folder = home / "watch"
    folder.mkdir(parents=True, exist_ok=True)
    lock = take_lock(folder / LOCK)
    if lock is None:
        raise AlreadyWatched(home)
    try:
        yield
    finally:
        os.close(lock)
