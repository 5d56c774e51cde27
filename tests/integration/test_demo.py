import io
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psycopg
import pytest
from rich.console import Console
from werkzeug import Request, Response
from werkzeug.serving import make_server

from footfall.demo.errors import IngestUnreachable, RecordsMiscounted, RecordsRefused
from footfall.demo.post import ATTEMPTS, BODY_LIMIT_BYTES, Poster, SentCounts, bodies
from footfall.demo.run import send_history, send_live
from footfall.demo.world import Batch, World
from ingest_app.app import create_app
from ingest_app.database import make_engine
from ingest_app.drain.drainer import drain_all
from ingest_app.keys import create_key
from ingest_app.settings import IngestSettings

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication

LAST_DAY = date(2026, 3, 31)
EVENTS = Batch("POST", "events", [{"event_id": "1"}, {"event_id": "2"}])
TABLES = {"activity": "activity_events", "events": "tracking_events", "documents": "tracking_documents"}
STATE_TABLES = (
    "accounts",
    "organizations",
    "subscriptions",
    "tracking_live_sessions",
    "user_heartbeats",
    "users",
    "visitor_sessions",
)

Answer = tuple[int, object, dict[str, str]]


@dataclass(frozen=True)
class Ingest:
    """A running ingest app, with a key of each scope that the demo needs."""

    url: str
    server_key: str
    write_key: str
    drain: Callable[[], None]

    def send_history(self, days: int = 3) -> SentCounts:
        console = Console(file=io.StringIO())
        sent = send_history(self.url, self.server_key, days=days, seed=2015, last_day=LAST_DAY, console=console)
        self.drain()
        return sent

    def send_live(self, rounds: int) -> SentCounts:
        sent = send_live(self.url, self.write_key, seed=2015, rounds=rounds, stop=threading.Event())
        self.drain()
        return sent


@contextmanager
def served(app: "WSGIApplication") -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def ingest(database_url: str, tmp_path: Path) -> Iterator[Ingest]:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        server_key, write_key = create_key(connection, "server"), create_key(connection, "write")
    settings = IngestSettings(database_url=database_url, footfall_secret="a test's secret", footfall_home=tmp_path)
    app = create_app(settings)
    with served(app) as url:
        yield Ingest(url, server_key, write_key, partial(drain_all, engine, settings.spool_folder))
    app.extensions["footfall"].close()
    engine.dispose()


@contextmanager
def scripted(*answers: Answer) -> Iterator[tuple[str, list[bytes]]]:
    """A server that gives these answers one after the other, the last one for ever; yields the bodies it got too."""
    got: list[bytes] = []

    @Request.application
    def app(request: Request) -> Response:
        got.append(request.get_data())
        status, body, headers = answers[min(len(got), len(answers)) - 1]
        return Response(msgspec.json.encode(body), status, headers)

    with served(app) as url:
        yield url, got


def counts(database: psycopg.Connection) -> dict[str, int]:
    tables = (*TABLES.values(), *STATE_TABLES)
    found = {}
    for table in tables:
        row = database.execute(f"SELECT count(*) FROM {table}").fetchone()
        assert row
        found[table] = row[0]
    return found


def test_history_sent_twice_counts_once(ingest: Ingest, database: psycopg.Connection) -> None:
    first = ingest.send_history()
    once = counts(database)
    second = ingest.send_history()
    assert counts(database) == once
    assert first == second
    assert first.dropped.total() == 0
    assert {kind: first.sent[f"POST /api/{kind}"] for kind in TABLES} == {
        kind: once[table] for kind, table in TABLES.items()
    }
    assert once["organizations"] == first.sent["PUT /api/organizations"] > 0
    assert once["users"] == first.sent["PUT /api/users"] - first.accepted["DELETE /api/users"] > 0


def test_longer_history_adds_only_new_days(ingest: Ingest, database: psycopg.Connection) -> None:
    ingest.send_history(days=1)
    sent = ingest.send_history(days=2)
    assert counts(database)["tracking_events"] == sent.sent["POST /api/events"]


def test_history_keeps_its_own_times(ingest: Ingest, database: psycopg.Connection) -> None:
    ingest.send_history()
    days = database.execute(
        "SELECT DISTINCT (created_at AT TIME ZONE 'UTC')::date::text, created_at_adjusted"
        " FROM tracking_events ORDER BY 1"
    ).fetchall()
    assert days == [("2026-03-29", False), ("2026-03-30", False), ("2026-03-31", False)]


def test_live_rounds_are_taken_but_for_the_bot(ingest: Ingest, database: psycopg.Connection) -> None:
    sent = ingest.send_live(rounds=2)
    assert sent.dropped == Counter({"POST /api/track-visit": 1})
    assert sent.reasons == {"POST /api/track-visit": "bot"}
    rows = database.execute("SELECT is_bot, count(*) FROM tracking_events GROUP BY is_bot ORDER BY is_bot").fetchall()
    assert rows == [(False, sent.accepted["POST /api/events"] - 1), (True, 1)]
    devices = database.execute("SELECT count(DISTINCT ua_hash) FROM visitor_sessions").fetchone()
    assert devices
    assert devices[0] > 1


def test_visits_and_heartbeats_leave_a_row_each(ingest: Ingest, database: psycopg.Connection) -> None:
    sent = ingest.send_live(rounds=0)
    rows = counts(database)
    assert rows["visitor_sessions"] == sent.sent["POST /api/track-visit"] > 0
    assert rows["tracking_live_sessions"] == sent.sent["POST /api/sessions/heartbeat"] > 0
    assert rows["user_heartbeats"] == sent.sent["POST /api/heartbeat"] > 0


def test_live_traffic_goes_on_until_told_to_stop(ingest: Ingest, database: psycopg.Connection) -> None:
    stop, totals = threading.Event(), list[int]()

    def run() -> None:
        totals.append(send_live(ingest.url, ingest.write_key, seed=1, rounds=None, stop=stop).sent.total())

    thread = threading.Thread(target=run)
    thread.start()
    deadline = time.monotonic() + 60
    while not counts(database)["tracking_events"] and time.monotonic() < deadline:
        ingest.drain()
        assert thread.is_alive()
    stop.set()
    thread.join(timeout=60)
    assert totals
    assert totals[0] > 0


def test_live_traffic_ends_quietly_with_its_server() -> None:
    class Closing(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            self.set()
            return True

    with scripted((503, {}, {})) as (url, _):
        assert send_live(url, "key", seed=1, rounds=None, stop=Closing()).sent.total() == 0


def test_live_traffic_fails_where_its_server_is_gone() -> None:
    class Impatient(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return False

    with scripted((503, {}, {})) as (url, _), pytest.raises(IngestUnreachable):
        send_live(url, "key", seed=1, rounds=None, stop=Impatient())


@pytest.mark.timeout(20)
def test_stopped_history_makes_and_sends_no_more_days(monkeypatch: pytest.MonkeyPatch) -> None:
    class StoppedAfterOneWait(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            self.set()
            return True

    made: list[date] = []
    monkeypatch.setattr("footfall.demo.world.live_through", lambda seed, day, people: made.append(day))
    printed = io.StringIO()
    with scripted((503, {}, {})) as (url, got):
        sent = send_history(
            url, "key", days=365, seed=1, last_day=LAST_DAY, console=Console(file=printed), stop=StoppedAfterOneWait()
        )
    assert (sent.sent.total(), len(got), made, printed.getvalue()) == (0, 1, [], "")


def test_stop_ends_a_history_between_two_days(monkeypatch: pytest.MonkeyPatch) -> None:
    stop = threading.Event()
    made: list[date] = []

    def stopped_on_the_second_day(world: World, day: date) -> Iterator[Batch]:
        made.append(day)
        if len(made) == 2:
            stop.set()
        return iter(())

    monkeypatch.setattr(World, "opening", lambda world: iter(()))
    monkeypatch.setattr(World, "batches_of", stopped_on_the_second_day)
    console = Console(file=io.StringIO())
    send_history("http://127.0.0.1:9", "key", days=365, seed=1, last_day=LAST_DAY, console=console, stop=stop)
    assert len(made) == 2


def test_proxy_of_the_environment_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with scripted((202, {"accepted": 2, "dropped": 0}, {})) as (url, got), Poster(url, "key") as poster:
        poster.post(EVENTS)
    assert len(got) == 1


def test_wrong_key_is_named_with_its_endpoint(ingest: Ingest) -> None:
    with Poster(ingest.url, "ff_no_key") as poster, pytest.raises(RecordsRefused) as raised:
        poster.post(EVENTS)
    assert str(raised.value).startswith("POST /api/events answered 401 to 2 records: send a key that is not revoked")


def test_refused_record_is_named_with_its_field(ingest: Ingest) -> None:
    account = {"id": "00000000-0000-4000-8000-000000000001"}
    batch = Batch("PUT", "accounts", [account, {**account, "role": 7}])
    with Poster(ingest.url, ingest.server_key) as poster, pytest.raises(RecordsRefused, match="record 1, field role:"):
        poster.post(batch)


@pytest.mark.parametrize("busy", [429, 503])
def test_busy_server_is_asked_again_with_same_ids(busy: int) -> None:
    answers: list[Answer] = [(busy, {}, {"Retry-After": "2"}), (202, {"accepted": 2, "dropped": 0}, {})]
    waits: list[float] = []
    with scripted(*answers) as (url, got), Poster(url, "key", wait=waits.append) as poster:
        poster.post(EVENTS)
    assert got == [b'[{"event_id":"1"},{"event_id":"2"}]'] * 2
    assert waits == [2.0]
    assert poster.counts.accepted == Counter({"POST /api/events": 2})


def test_server_that_stays_busy_is_given_up() -> None:
    waits: list[float] = []
    with (
        scripted((503, {}, {"Retry-After": "3600"})) as (url, got),
        Poster(url, "key", wait=waits.append) as poster,
        pytest.raises(IngestUnreachable, match=r"POST /api/events gave no answer after 8 attempts: status 503"),
    ):
        poster.post(EVENTS)
    assert len(got) == ATTEMPTS
    assert max(waits) == 5.0


def test_server_that_is_not_there_is_named() -> None:
    with scripted((202, {}, {})) as (url, _):
        pass
    with Poster(url, "key", wait=lambda _: None) as poster, pytest.raises(IngestUnreachable, match=url):
        poster.post(EVENTS)


def test_answer_that_does_not_add_up_fails() -> None:
    with (
        scripted((202, {"accepted": 1, "dropped": 0}, {})) as (url, _),
        Poster(url, "key") as poster,
        pytest.raises(RecordsMiscounted, match="got 2 records but tells of 1"),
    ):
        poster.post(EVENTS)


def test_bodies_stay_within_bytes_and_count() -> None:
    records = [{"text": "x" * 2_000}] * 1_000 + [{}] * 1_500
    sent = list(bodies(records))
    assert [record for _, body in sent for record in msgspec.json.decode(body)] == records
    for count, body in sent:
        assert len(body) <= BODY_LIMIT_BYTES
        assert count == len(msgspec.json.decode(body)) <= 1_000
