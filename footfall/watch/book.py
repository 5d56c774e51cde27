"""What is open and what is still to be sent, in `HOME/watch/alerts.json`: a restart neither repeats nor forgets.

The file is replaced whole at every change. What was sent just before a kill is sent again: at least once, never lost.
"""

import fcntl
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from footfall.watch.alerts import Alert, News, advance
from footfall.watch.problems import Judgement
from warehouse.durable import write_whole

FILE = "alerts.json"
# held by the one who watches
LOCK = "watch.lock"

log = logging.getLogger(__name__)


class Book:
    """The alerts of one home."""

    def __init__(self, home: Path, channels: Sequence[str]) -> None:
        """Go on where the last watcher ended. What was for a channel that is no more is let go."""
        self._path = home / "watch" / FILE
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.alerts, unsent = read_alerts(home)
        self._unsent = {name: unsent.get(name, []) for name in channels}
        self._written = ""

    def note(self, judgement: Judgement, now: datetime) -> list[News]:
        """Take in what a look found; what is to be told is on disk when this returns."""
        self.alerts, news = advance(self.alerts, judgement, now)
        for lines in self._unsent.values():
            lines += map(str, news)
        self._write()
        return news

    def unsent(self, channel: str) -> list[str]:
        """Return the lines that this channel has not sent, the oldest first."""
        return list(self._unsent[channel])

    def sent(self, channel: str, count: int) -> None:
        """Note that the first lines are sent."""
        del self._unsent[channel][:count]
        self._write()

    def _write(self) -> None:
        content = {"alerts": [asdict(alert) for alert in self.alerts], "unsent": self._unsent}
        text = json.dumps(content, default=datetime.isoformat)
        if text == self._written:
            return
        try:
            write_whole(self._path, text)
        except OSError as error:
            # the disk may be full, which somebody has to be told
            log.warning("the alerts are not on disk: %s", error.strerror)
        else:
            self._written = text


def read_alerts(home: Path) -> tuple[list[Alert], dict[str, list[str]]]:
    """Return the alerts and what is not sent, by channel; nothing of either where nobody watched.

    Nor where it cannot be read, as of another version: an alert told twice is better than nobody who watches.
    """
    try:
        found: dict[str, Any] = json.loads((home / "watch" / FILE).read_text())
        return [_alert(one) for one in found["alerts"]], found["unsent"]
    except FileNotFoundError:
        return [], {}
    except (ValueError, KeyError, TypeError) as error:
        log.warning("the alerts of before cannot be read: %s", type(error).__name__)
        return [], {}


def is_watched(home: Path) -> bool:
    """Say whether a watcher of this home lives, on this machine."""
    try:
        lock = (home / "watch" / LOCK).open("rb")
    except OSError:
        return False
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _alert(found: Mapping[str, Any]) -> Alert:
    told_at = found["told_at"] and datetime.fromisoformat(found["told_at"])
    return Alert(**{**found, "opened_at": datetime.fromisoformat(found["opened_at"]), "told_at": told_at})
