"""The canary: one marked event a minute, posted over HTTP like any other. How long it takes is measured in `lags.py`.

It is a bot's and of an app of its own, so that no report counts it (docs/adr/0028-a-watcher-of-its-own.md).
"""

import json
import os
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import requests
from sqlalchemy import Engine

from ingest_app.database import connect
from ingest_app.keys import create_key, hash_key, working_keys
from warehouse.durable import write_whole

APP = "footfall.canary"
USER_AGENT = "footfall-canary/1 (bot)"
NOTE = "canary.json"
KEY_FILE = "canary.key"
POST_SECONDS = 10.0
# who has sent none for longer was not watching: the age of the last one tells nothing of the way
BREAK = timedelta(minutes=5)
UNAUTHORIZED = 401


@dataclass(frozen=True, slots=True)
class Sent:
    """The last canary; `fault` says why it was not taken, `is_dropped` that tracking is switched off."""

    event_id: str
    sent_at: datetime
    series_began_at: datetime
    is_dropped: bool = False
    fault: str = ""


class Canary:
    """Sends them, and notes the last one in `HOME/watch/canary.json`. Its key is in `HOME/canary.key`, mode 0600."""

    def __init__(self, home: Path, ingest_url: str) -> None:
        """Send to ingest at this address."""
        self._home = home
        self._url = f"{ingest_url}/api/events"
        self._session = requests.Session()
        # a proxy of the environment is not for addresses of our own
        self._session.trust_env = False

    def send(self, engine: Engine | None) -> Sent:
        """Send one now; `engine` is where a key is made if there is none that works. What goes wrong is noted."""
        before, event_id, now = read_sent(self._home), str(uuid.uuid4()), datetime.now(UTC)
        is_dropped, fault = self._try(event_id, now, engine)
        is_series = before and not before.is_dropped and now - before.sent_at < BREAK
        sent = Sent(event_id, now, before.series_began_at if before and is_series else now, is_dropped, fault)
        write_whole(self._home / "watch" / NOTE, json.dumps(asdict(sent), default=datetime.isoformat))
        return sent

    def _try(self, event_id: str, now: datetime, engine: Engine | None) -> tuple[bool, str]:
        key = read_key(self._home)
        if key is None:
            if engine is None:
                return False, "it has no key yet, and Postgres is away"
            key = make_key(engine, self._home)
        try:
            answer = self._session.post(
                self._url, json=a_canary(event_id, now), headers=_headers(key), timeout=POST_SECONDS
            )
        except requests.RequestException as error:
            return False, f"ingest did not answer: {type(error).__name__}"
        if answer.status_code == UNAUTHORIZED and engine is not None:
            # workers learn of a new key within a second, the next canary is sent with it
            make_key(engine, self._home)
        return _verdict(answer)


def a_canary(event_id: str, now: datetime) -> dict[str, str]:
    """Return the body that is posted."""
    return {
        "event_id": event_id,
        "created_at": now.isoformat(),
        "user_type": "guest",
        "app_name": APP,
        "event_type": "visit",
        "event_name": "canary",
    }


def read_sent(home: Path) -> Sent | None:
    """Return the last one that was sent; None where none ever was, or its note cannot be read."""
    try:
        found = json.loads((home / "watch" / NOTE).read_text())
        times = {name: datetime.fromisoformat(found[name]) for name in ("sent_at", "series_began_at")}
        return Sent(**{**found, **times})
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_key(home: Path) -> str | None:
    """Return the canary's key; None where there is none."""
    try:
        return (home / KEY_FILE).read_text().strip() or None
    except FileNotFoundError:
        return None


def make_key(engine: Engine, home: Path) -> str:
    """Make a key unless the one that is kept still works; the file comes first, or a kill would leave keys without one.

    Raises DatabaseUnreachable, SQLAlchemyError.
    """
    kept = read_key(home)
    with connect(engine) as connection, connection.begin():
        if kept and hash_key(kept) in working_keys(connection):
            return kept
        made = create_key(connection, "write", APP)
        path = home / KEY_FILE
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(made)
    return made


def _headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "User-Agent": USER_AGENT}


def _verdict(answer: requests.Response) -> tuple[bool, str]:
    """Read the answer: whether tracking is switched off, or why the canary was refused."""
    if answer.status_code != requests.codes.accepted:
        return False, f"ingest answered {answer.status_code}"
    try:
        said = answer.json()
        is_accepted = said["accepted"] == 1
    except (ValueError, KeyError, TypeError):
        return False, "what answered 202 is not ingest"
    if is_accepted:
        return False, ""
    return said.get("reason") == "tracking_disabled", f"ingest dropped it: {said.get('reason', 'no reason given')}"
