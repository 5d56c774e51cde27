"""What is so now, sampled from Postgres by a thread: no request waits for Postgres for a number, or for its key.

What was last known is kept while Postgres is away, and says how old it is.
"""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, Row, text
from sqlalchemy.exc import SQLAlchemyError

from admin_app.known_keys import KnownKeys
from admin_app.queries import live_query
from admin_app.watching import Watch
from ingest_app.admin_settings import RULES, read_settings
from ingest_app.keys import Key, working_keys
from ingest_app.logs import describe

LOOK_SECONDS = 2.0
STALE_SECONDS = 10.0
LONGEST_WAIT_SECONDS = 1.0

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LiveGroup:
    """How many users of a kind are in an app now."""

    app_name: str
    country_code: str | None
    user_type: str
    live_user_count: int


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when tracking was off, UTC; without an end it still is."""

    begin: datetime
    end: datetime | None


@dataclass(frozen=True, slots=True)
class LiveValues:
    """One sample: all of one moment, in one transaction. `keys` are those that work, of every scope, by their hash."""

    as_of: datetime
    active_users_now: int
    visitors_now: int
    live_users: tuple[LiveGroup, ...]
    settings: Mapping[str, str]
    tracking_off: tuple[Span, ...]
    keys: Mapping[str, Key]


def read_live(connection: Connection) -> LiveValues:
    """Take one sample."""
    settings = read_settings(connection)
    timeout = {"timeout_minutes": _timeout_minutes(settings)}
    people = connection.execute(text(live_query("people")), timeout).one()
    live_users = connection.execute(text(live_query("live_users")), timeout)
    return LiveValues(
        as_of=people.as_of,
        active_users_now=people.active_users_now,
        visitors_now=people.visitors_now,
        live_users=tuple(LiveGroup(**row) for row in live_users.mappings()),
        settings=settings,
        tracking_off=_spans(connection.execute(text(live_query("tracking_switched")))),
        keys=working_keys(connection),
    )


class Live:
    """Keeps a process's LiveValues fresh, and the keys that it knows."""

    def __init__(self, engine: Engine, keys: KnownKeys) -> None:
        """Sample once and go on until `close`; `engine` is its own, one whose waits are short."""
        self._engine = engine
        self._sampling = engine.execution_options(isolation_level="REPEATABLE READ")
        self._keys = keys
        self.latest: LiveValues | None = None
        self._sampled_at = float("-inf")
        self._is_away = False
        self._watch = Watch("live values", LOOK_SECONDS, self._look)

    @property
    def is_stale(self) -> bool:
        """Whether the last good sample is older than it should be: Postgres is away, or hangs."""
        return time.monotonic() - self._sampled_at > STALE_SECONDS

    def find_key(self, shown: str, may_ask: bool = True) -> Key | None:
        """Return the key that somebody shows, unless it does not work; Postgres is asked for a new one if it `may_ask`.

        Raises KeysUnknown.
        """
        return self._keys.find(shown) or (self._find_anew(lambda: self._keys.find(shown)) if may_ask else None)

    def find_key_by_id(self, key_id: int) -> Key | None:
        """Return the key of a session, unless it works no more. Raises KeysUnknown."""
        return self._keys.find_by_id(key_id) or self._find_anew(lambda: self._keys.find_by_id(key_id))

    def await_look(self) -> None:
        """Have Postgres asked once more, so that who changed something sees it at once; nobody waits for long."""
        self._watch.await_look(LONGEST_WAIT_SECONDS)

    def close(self) -> None:
        """Sample no more."""
        self._watch.close()
        self._engine.dispose()

    def _find_anew(self, find: Callable[[], Key | None]) -> Key | None:
        """Look again for a key that may have been made a moment ago; its session may be of another worker, too."""
        if self._is_away:
            return None
        self.await_look()
        return find()

    def _look(self) -> None:
        try:
            with self._sampling.connect() as connection:
                self._keep(read_live(connection))
            self._keys.mark_used(self._engine)
        except SQLAlchemyError as error:
            if not self._is_away:
                log.warning("Postgres cannot be asked, what it said last stays: %s", describe(error))
            self._is_away = True

    def _keep(self, found: LiveValues) -> None:
        self._keys.replace(found.keys)
        self.latest, self._sampled_at, self._is_away = found, time.monotonic(), False


def _timeout_minutes(settings: Mapping[str, str]) -> int:
    """Return the window of now; a value that somebody wrote past its rule is not taken."""
    rule = RULES["live_session_timeout_minutes"]
    value = settings.get("live_session_timeout_minutes", "")
    return int(value) if rule.allows(value) else rule.default


def _spans(switched: Iterable[Row[Any]]) -> tuple[Span, ...]:
    spans, begin = [], None
    for row in switched:
        if row.new_value == "0":
            begin = begin or row.created_at
        elif begin:
            spans.append(Span(begin, row.created_at))
            begin = None
    return (*spans, *([Span(begin, None)] if begin else []))
