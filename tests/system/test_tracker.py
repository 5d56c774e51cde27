"""tracker.js as a visitor's browser runs it: a page on one origin, ingest on another, rows in a real Postgres."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Route

from tests.conftest import new_database
from tests.system.browser import USER_AGENT, Site, open_browser, open_site
from tests.system.conftest import _footfall
from tests.system.visitor import Stack, Visitor, running, wait_until

ROOT = Path(__file__).parents[2]
TRACKER = ROOT / "ingest_app" / "tracker.js"
MAX_BYTES = 3_000

BLOCKED_STORAGE = (
    "Object.defineProperty(window, 'localStorage', {get() { throw new DOMException('no', 'SecurityError') }})"
)
FULL_STORAGE = "localStorage.filler = 'x'.repeat(5 * 1024 * 1024 - 6)"
HIDE = """
    Object.defineProperty(document, 'hidden', {value: %s, configurable: true})
    dispatchEvent(new Event('visibilitychange'))
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as found:
        yield found


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with open_site() as opened:
        yield opened


@pytest.fixture(scope="module")
def stack(
    browser: Browser,
    site: Site,
    server_url: str,
    tmp_path_factory: pytest.TempPathFactory,
    give_models: Callable[[Path], None],
) -> Iterator[Stack]:
    """`footfall up` on a database of its own, once for all tests; without a browser it is not started."""
    folder = tmp_path_factory.mktemp("up")
    give_models(folder / "home")
    with (
        new_database(server_url, "template0") as url,
        contextmanager(_footfall)(folder, {"DATABASE_URL": url}) as footfall,
        running(footfall) as up,
    ):
        made = footfall.run("keys", "create", "--scope", "write", "--origin", site.origin)
        yield Stack(footfall, up, url, made.stdout.strip())


@pytest.fixture
def visitor(browser: Browser, site: Site, stack: Stack) -> Iterator[Visitor]:
    """Someone whose browser has never been here; afterwards, no fault of ours may have reached a page."""
    context = browser.new_context(user_agent=USER_AGENT)
    visitor = Visitor(stack, site, context)
    yield visitor
    context.close()
    assert visitor.faults == []


def test_tracker_fits_in_three_thousand_bytes() -> None:
    assert len(TRACKER.read_bytes()) <= MAX_BYTES


def test_page_brings_visit_event_document_and_live_session(visitor: Visitor) -> None:
    page = visitor.open(user_type="student", user_id="7")
    session = page.evaluate("localStorage['ff:session']")
    page.evaluate("footfall.event('play', {speed: 1.5})")
    page.evaluate("footfall.event('intro', null, 'visit')")
    page.evaluate("footfall.document('A1', 'Verbs', 'To be')")
    rows = visitor.stack.rows
    wait_until(page, lambda: len(visitor.names()) == 2)
    query = """
        SELECT event_name, event_type, user_type, user_id, session_id, meta, created_at_adjusted, device_type
        FROM tracking_events WHERE app_name = %s ORDER BY event_name
    """
    assert rows(query, visitor.app) == [
        ("intro", "visit", "student", 7, session, None, False, "desktop"),
        ("play", "button", "student", 7, session, {"speed": 1.5}, False, "desktop"),
    ]
    opened = """
        SELECT user_type, user_id, level_name, chapter_name, document_name
        FROM tracking_documents WHERE app_name = %s
    """
    wait_until(page, lambda: rows(opened, visitor.app) == [("student", 7, "A1", "Verbs", "To be")])
    live = "SELECT user_id, user_type, app_name FROM tracking_live_sessions WHERE session_id = %s"
    wait_until(page, lambda: rows(live, session) == [(7, "student", visitor.app)])
    visits = "SELECT count(*) FROM visitor_sessions WHERE session_id = %s"
    wait_until(page, lambda: rows(visits, session) == [(1,)])


def test_network_log_shows_no_waste(visitor: Visitor) -> None:
    page = visitor.open(user_type="teacher", user_id="8")
    page.evaluate("for (const name of ['a', 'b', 'c']) footfall.event(name)")
    wait_until(page, lambda: len(visitor.names()) == 3)
    wait_until(page, lambda: _queued(page) == 0)
    asked = [request.headers["content-type"] for request in visitor.requests if "/api/" in request.url]
    # a visit, a beat, and one batch of events, none of which needs a preflight
    assert asked == ["text/plain;charset=UTF-8"] * 3


def test_guest_without_id_is_never_live(visitor: Visitor) -> None:
    page = visitor.open()
    page.evaluate("footfall.event('look')")
    wait_until(page, lambda: visitor.names() == ["look"])
    assert visitor.sent("sessions/heartbeat") == []


def test_login_on_the_page_names_later_events(visitor: Visitor) -> None:
    page = visitor.open()
    page.evaluate("Object.assign(document.querySelector('script').dataset, {userId: 9, userType: 'teacher'})")
    page.evaluate("footfall.event('play')")
    query = "SELECT user_type, user_id FROM tracking_events WHERE app_name = %s"
    wait_until(page, lambda: visitor.stack.rows(query, visitor.app) == [("teacher", 9)])


def test_wrong_clock_of_visitor_is_corrected(visitor: Visitor) -> None:
    visitor.context.clock.install(time=datetime.now(UTC) - timedelta(hours=3))
    page = visitor.open()
    page.evaluate("footfall.event('play')")
    query = """
        SELECT created_at_adjusted, received_at - created_at < interval '1 minute'
        FROM tracking_events WHERE app_name = %s
    """
    wait_until(page, lambda: visitor.stack.rows(query, visitor.app) == [(False, True)])


def test_beats_stop_while_page_is_hidden(visitor: Visitor) -> None:
    visitor.context.clock.install()
    page = visitor.open(user_type="student", user_id="7")
    wait_until(page, lambda: len(visitor.sent("sessions/heartbeat")) == 1)
    page.clock.run_for(120_000)
    wait_until(page, lambda: len(visitor.sent("sessions/heartbeat")) == 3)
    page.evaluate(HIDE % "true")
    page.clock.run_for(600_000)
    page.evaluate(HIDE % "false")
    page.clock.run_for(60_000)
    wait_until(page, lambda: len(visitor.sent("sessions/heartbeat")) >= 4)
    assert len(visitor.sent("sessions/heartbeat")) == 4


def test_calls_before_the_script_arrives_count(visitor: Visitor) -> None:
    snippet = (ROOT / "docs" / "tracker.md").read_text().split("```html\n")[2].split("```")[0]
    page = visitor.context.new_page()
    page.goto(visitor.address(head=snippet + "<script>footfall.event('early', {n: 1})</script>"))
    wait_until(page, lambda: visitor.names() == ["early"])


def test_offline_events_arrive_once_after_return(visitor: Visitor) -> None:
    page = visitor.open()
    visitor.context.set_offline(True)
    page.evaluate("for (let n = 0; n < 30; n++) footfall.event('offline ' + n)")
    wait_until(page, lambda: any(request.failure for request in visitor.sent("events")))
    assert visitor.names() == []
    visitor.context.set_offline(False)
    wait_until(page, lambda: _queued(page) == 0)
    wait_until(page, lambda: visitor.names() == sorted(f"offline {n}" for n in range(30)))


def test_events_outlive_a_stopped_ingest(visitor: Visitor) -> None:
    page = visitor.open()
    with visitor.stack.ingest_stopped():
        page.evaluate("footfall.event('meanwhile')")
        wait_until(page, lambda: any(request.failure for request in visitor.sent("events")))
    wait_until(page, lambda: _queued(page) == 0)
    wait_until(page, lambda: visitor.names() == ["meanwhile"])
    assert (len(visitor.event_ids()), len(visitor.sent("events")) > 1) == (1, True)


@pytest.mark.parametrize("storage", ["", BLOCKED_STORAGE], ids=["stored", "blocked"])
@pytest.mark.parametrize("leave", [lambda page: page.goto("about:blank"), Page.close], ids=["navigates", "closes"])
def test_leaving_sends_what_waits(visitor: Visitor, leave: Callable[[Page], object], storage: str) -> None:
    other = visitor.context.new_page()
    page = visitor.open(head=f"<script>{storage}</script>")
    page.evaluate("footfall.event('bye')")
    leave(page)
    wait_until(other, lambda: visitor.names() == ["bye"])


def test_return_after_leaving_counts_once_and_empties_queue(visitor: Visitor) -> None:
    page = visitor.open()
    page.evaluate("footfall.event('bye'); location = 'about:blank'")
    wait_until(page, lambda: visitor.names() == ["bye"])
    again = visitor.open()
    wait_until(again, lambda: _queued(again) == 0)
    again.evaluate("footfall.event('later')")
    wait_until(again, lambda: "later" in visitor.names())
    assert visitor.names() == ["bye", "later"]


def test_reload_sends_what_a_closed_page_could_not(visitor: Visitor) -> None:
    page = visitor.open()
    visitor.context.set_offline(True)
    page.evaluate("footfall.event('closed')")
    page.close()
    visitor.context.set_offline(False)
    again = visitor.open()
    wait_until(again, lambda: visitor.names() == ["closed"])
    wait_until(again, lambda: _queued(again) == 0)


def test_two_tabs_at_once_lose_nothing(visitor: Visitor) -> None:
    tabs = [visitor.open(), visitor.open()]
    for number, tab in enumerate(tabs):
        tab.evaluate(f"let n = 0, timer = setInterval(() => n < 40 ? footfall.event('{number} ' + n++) : 0, 25)")
    expected = sorted(f"{number} {n}" for number in range(2) for n in range(40))
    wait_until(tabs[0], lambda: len(visitor.names()) >= len(expected))
    assert visitor.names() == expected
    wait_until(tabs[0], lambda: _queued(tabs[0]) == _queued(tabs[1]) == 0)


def test_refusals_are_retried_or_dropped_by_status(visitor: Visitor) -> None:
    visitor.context.clock.install()
    page = visitor.open()
    answers = [429, 503, 500, 404]
    page.route("**/api/events?*", lambda route: _fulfil(route, answers.pop(0)))
    page.evaluate("footfall.event('unlucky')")
    wait_until(page, lambda: _after(page, 5_000) and answers == [])
    wait_until(page, lambda: _queued(page) == 0)
    page.clock.run_for(600_000)
    assert (len(visitor.sent("events")), len(visitor.event_ids())) == (4, 1)


def test_bad_record_spares_the_good_ones(visitor: Visitor) -> None:
    page = visitor.open()
    page.evaluate("const loop = {}; loop.self = loop; footfall.event('loop', loop); footfall.event(Symbol())")
    page.evaluate("footfall.event(''); footfall.event('good')")
    wait_until(page, lambda: visitor.names() == ["good"])
    wait_until(page, lambda: _queued(page) == 0)


def test_queue_keeps_the_newest_hundred(visitor: Visitor) -> None:
    visitor.context.clock.install()
    page = visitor.open()
    visitor.context.set_offline(True)
    page.evaluate("""async () => {
        for (let n = 0; n < 130; n++) {
            footfall.event('n' + n)
            await new Promise(done => setTimeout(done, 2))
        }
    }""")
    assert _queued(page) <= 100
    visitor.context.set_offline(False)
    wait_until(page, lambda: _after(page, 2_000) and _queued(page) == 0)
    wait_until(page, lambda: len(visitor.names()) >= 100)
    assert set(visitor.names()) == {f"n{n}" for n in range(30, 130)}


def test_long_text_in_many_bytes_arrives(visitor: Visitor) -> None:
    page = visitor.open()
    page.evaluate("for (let n = 0; n < 4; n++) footfall.event('long', {text: '漢'.repeat(30000)})")
    wait_until(page, lambda: visitor.names() == ["long"] * 4)


@pytest.mark.parametrize("storage", [BLOCKED_STORAGE, FULL_STORAGE], ids=["blocked", "full"])
def test_page_without_storage_still_sends(visitor: Visitor, storage: str) -> None:
    page = visitor.open(head=f"<script>{storage}</script>")
    page.evaluate("footfall.event('one'); footfall.event('two')")
    wait_until(page, lambda: visitor.names() == ["one", "two"])


@pytest.mark.parametrize("wish", ["doNotTrack", "globalPrivacyControl"])
@pytest.mark.parametrize("respected", [True, False])
def test_do_not_track_is_respected_by_option(visitor: Visitor, wish: str, respected: bool) -> None:
    visitor.context.add_init_script(f"Object.defineProperty(navigator, '{wish}', {{value: '1'}})")
    options = {"respect_dnt": ""} if respected else {}
    page = visitor.open(user_type="student", user_id="7", **options)
    page.evaluate("footfall.event('seen'); footfall.document('A1', 'Verbs', 'To be')")
    stored = page.evaluate("Object.keys(localStorage).length")
    page.evaluate("dispatchEvent(new Event('online'))")
    page.evaluate(HIDE % "true")
    asked = [request for request in visitor.requests if "/api/" in request.url]
    assert (stored == 0, asked == []) == (respected, respected)


def _queued(page: Page) -> int:
    return int(page.evaluate("Object.keys(localStorage).filter(key => /^ff:app /.test(key)).length"))


def _fulfil(route: Route, status: int) -> None:
    route.fulfill(status=status, headers={"Access-Control-Allow-Origin": "*"}, json={})


def _after(page: Page, milliseconds: int) -> bool:
    page.clock.run_for(milliseconds)
    return True
