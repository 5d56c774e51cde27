"""The admin's page in a real browser: what an admin does there, against ingest, the API and the keyboard."""

import csv
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qs, urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, StorageState, expect

from tests.conftest import new_database
from tests.system.admin_history import beat
from tests.system.admin_stack import Admin, AdminStack, running_admin, running_fresh
from tests.system.browser import open_browser
from tests.system.conftest import PROGRAM, Footfall, _footfall

# the first of them starts the stack: 30 s, and more on a busy machine
pytestmark = pytest.mark.timeout(300)

TILES = (
    *("activeUsersNow", "visitorsNow", "totalUsers", "expiredUsers", "inactiveUsers", "totalVisitors", "visitorsToday"),
    *("activeSubscriptions", "expiredSubscriptions", "cancelledSubscriptions"),
)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
SMALL_PAGES = ("/controls/keys/new", "/controls/settings?key=tracking_enabled&value=0", "/nothing", "/?app=&from=x")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as found:
        yield found


@pytest.fixture(scope="module")
def stack(
    browser: Browser,
    server_url: str,
    template_database: str,
    tmp_path_factory: pytest.TempPathFactory,
    give_models: Callable[[Path], None],
) -> Iterator[AdminStack]:
    """One footfall for all tests; without a browser it is not started."""
    folder = tmp_path_factory.mktemp("admin")
    give_models(folder / "home")
    with (
        new_database(server_url, template_database) as url,
        contextmanager(_footfall)(folder, {"DATABASE_URL": url}) as footfall,
        running_admin(footfall) as stack,
    ):
        yield stack


@pytest.fixture(scope="module")
def signed_in(browser: Browser, stack: AdminStack) -> StorageState:
    """The cookies of somebody who has signed in."""
    with _admin(browser, stack) as admin:
        admin.sign_in(admin.open("/controls"))
        return admin.context.storage_state()


@pytest.fixture
def stranger(browser: Browser, stack: AdminStack) -> Iterator[Admin]:
    """Somebody who has not signed in."""
    with _admin(browser, stack) as admin:
        yield admin


@pytest.fixture
def admin(browser: Browser, stack: AdminStack, signed_in: StorageState) -> Iterator[Admin]:
    with _admin(browser, stack, signed_in) as admin:
        yield admin


def test_key_opens_the_page_that_was_wanted(stranger: Admin, stack: AdminStack) -> None:
    page = stranger.open("/controls?audit_before=9#audit")
    expect(page).to_have_url(re.compile(r"/sign-in\?next="))
    stranger.sign_in(page, "ff_admin_nobody")
    expect(page.get_by_role("alert")).to_contain_text("This key does not work")
    expect(page.get_by_label("Admin key")).to_have_value("")
    stranger.sign_in(page, stack.keys["write"])
    expect(page.get_by_role("alert")).to_contain_text("write")
    stranger.sign_in(page)
    expect(page).to_have_url(re.compile(r"/controls\?audit_before=9"))
    [cookie] = stranger.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")


def test_signing_out_ends_the_session(stranger: Admin) -> None:
    page = stranger.open("/controls")
    stranger.sign_in(page)
    page.get_by_role("button", name="Sign out").click()
    expect(page).to_have_url(re.compile("/sign-in"))
    page.goto(stranger.stack.url + "/controls")
    expect(page).to_have_url(re.compile("/sign-in"))


def test_keyboard_alone_signs_in_and_reaches_the_filters(stranger: Admin) -> None:
    page = stranger.open("/")
    page.keyboard.type(stranger.stack.keys["admin"])
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Dashboard", exact=True)).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=re.compile("Skip to"))).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("main")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("search").get_by_role("link", name="7 days")).to_be_focused()


def test_ingest_obeys_the_kill_switch_within_a_second(admin: Admin, stack: AdminStack) -> None:
    page = admin.open("/controls")
    kept = {"accepted": 1, "dropped": 0}
    dropped = {"accepted": 0, "dropped": 1, "reason": "tracking_disabled"}
    for word, value, was, answer in (("off", "0", "1", dropped), ("on", "1", "0", kept)):
        switch = page.get_by_role("listitem").filter(has_text="tracking_enabled")
        switch.get_by_role("button", name=f"Switch {word}").click()
        expect(page.get_by_role("heading", name="Change tracking_enabled?")).to_be_visible()
        page.get_by_role("button", name=f"Set tracking_enabled to {value}").click()
        expect(page.get_by_role("status")).to_contain_text(f"tracking_enabled is {value} now")
        # longer than the poll of ingest's workers, and shorter than the second that is promised
        page.wait_for_timeout(900)
        for _ in range(4):
            assert stack.post_event().items() >= answer.items()
        newest = page.get_by_role("region", name="Who changed what").get_by_role("row").nth(1)
        expect(newest).to_contain_text(re.compile(rf"admin key \d+settings.settracking_enabledfrom {was} to {value}"))


def test_new_key_is_shown_once_and_revoked(admin: Admin, stack: AdminStack) -> None:
    page = admin.open("/controls")
    page.get_by_role("link", name="Make a key").click()
    page.get_by_role("radio", name="write").check()
    app = f"Made by a test at {time.time()}"
    page.get_by_label("App (may be left out)").fill(app)
    page.get_by_role("button", name="Make the key").click()
    key = page.get_by_label("The new key").inner_text()
    assert key.startswith("ff_write_")
    page.get_by_role("link", name="I have copied it").click()
    row = page.get_by_role("region", name="Keys that work").get_by_role("row").filter(has_text=app)
    expect(row).to_have_count(1)
    assert key not in page.content()
    row.get_by_role("link", name=re.compile("Revoke")).click()
    page.get_by_role("button", name="Revoke key").click()
    expect(page.get_by_role("status")).to_contain_text("is revoked")
    assert key not in stack.logs()


def test_pressing_twice_sends_a_form_once(admin: Admin) -> None:
    page = admin.open("/controls/keys/new")
    page.get_by_role("radio", name="write").check()
    # Chromium itself leaves out the second of a double click, other browsers send both: so what is asked is the page
    page.evaluate("window.held = []; addEventListener('submit', event => held.push(event.defaultPrevented))")
    page.evaluate("addEventListener('submit', event => event.preventDefault())")
    for _ in range(2):
        page.get_by_role("button", name="Make the key").click()
    assert page.evaluate("held") == [False, True]


@pytest.mark.parametrize("width", [1440, 375])
@pytest.mark.parametrize(("path", "shown"), [("/", "LongestNameOfAnApp"), ("/controls", "keys.create")])
def test_words_need_no_scrolling_sideways(admin: Admin, stack: AdminStack, path: str, shown: str, width: int) -> None:
    beat(stack.sender, 78, "LongestNameOfAnAppThatThereCanBe".ljust(50, "x"), "GB")
    page = admin.open(path)
    expect(page.get_by_text(shown).first).to_be_visible(timeout=15_000)
    page.set_viewport_size({"width": width, "height": 900})
    wide = "all => all.filter(one => one.scrollWidth > one.clientWidth).map(one => one.ariaLabel)"
    # of seven columns of numbers it is expected
    assert page.locator(".scroll:not(#balances .scroll)").evaluate_all(wide) == []


def test_shut_doors_answer_with_their_headers(stack: AdminStack, stranger: Admin) -> None:
    page = stranger.context.new_page()
    for path in ("/", "/controls", "/sign-in", "/nothing", "/static/page.css"):
        answer = page.goto(stack.url + path)
        assert answer is not None
        headers = answer.headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert (policy["default-src"], policy["script-src"], policy["style-src"]) == ("'none'", "'self'", "'self'")
        assert (headers["x-content-type-options"], policy["frame-ancestors"]) == ("nosniff", "'none'")


def test_tiles_equal_the_stats_of_the_api(admin: Admin, stack: AdminStack) -> None:
    page = admin.open("/")
    stats = stack.get("/api/stats").json()
    assert stats["totalUsers"] == 12
    for name in TILES:
        tile = re.sub("[A-Z]", lambda letter: "_" + letter[0].lower(), name)
        expect(page.locator(f"#{tile}")).to_have_text(f"{stats[name]:,}")


def test_filters_are_in_an_address_that_can_be_shared(admin: Admin, stack: AdminStack) -> None:
    page = admin.open("/")
    page.get_by_label("App", exact=True).select_option("Alpha")
    page.get_by_label("Country").select_option("TR")
    page.get_by_label("From", exact=True).fill(str(_today() - timedelta(days=9)))
    page.get_by_role("button", name="Apply").click()
    expect(page).to_have_url(re.compile("app=Alpha"))
    query = {"from": [str(_today() - timedelta(days=9))], "app": ["Alpha"], "country": ["TR"]}
    assert parse_qs(urlsplit(page.url).query).items() >= query.items()

    shared = admin.open(page.url.removeprefix(stack.url))
    expect(shared.get_by_label("App", exact=True)).to_have_value("Alpha")
    rows = _rows(shared, "events")
    answer = stack.get(f"/api/reports/events?by=app_name,event_type,event_name&{urlsplit(page.url).query}").json()
    assert rows == [[str(cell) for cell in row.values()] for row in answer["rows"]] != []
    assert {row[0] for row in rows} == {"Alpha"}
    expect(shared.locator("#activity-by-day")).to_contain_text("All apps. All countries.")


def test_documents_open_from_level_to_document(admin: Admin, stack: AdminStack) -> None:
    page = admin.open("/")
    documents = page.locator("#documents")
    steps: list[str] = []
    for by, column in (("level", "level_name"), ("chapter", "chapter_name"), ("document", "document_name")):
        answer = stack.get(f"/api/reports/documents?by={column}{''.join(steps)}").json()
        expected = [[row[column], f"{row['open_count']:,}"] for row in answer["rows"]]
        assert _rows(page, "documents") == expected != []
        if by != "document":
            steps.append(f"&{by}={expected[0][0]}")
            documents.get_by_role("link", name=expected[0][0], exact=True).click()
            expect(page).to_have_url(re.compile(f"{by}={expected[0][0]}"))
    documents.get_by_role("link", name="All levels").click()
    expect(documents.get_by_role("rowheader")).to_have_count(2)
    assert sorted(row[0] for row in _rows(page, "documents")) == ["A1", "B2"]


def test_live_table_refreshes_itself(admin: Admin, stack: AdminStack) -> None:
    page = admin.open("/")
    before = page.locator("#live tbody tr").filter(has_text="Quiz").filter(has_text="Japan")
    expect(before).to_have_count(0)
    beat(stack.sender, 77, "Quiz", "JP")
    expect(before).to_have_text(re.compile("Quiz.*Japan.*student.*1"), timeout=15_000)


def test_downloaded_csv_is_what_api_and_page_say(admin: Admin, stack: AdminStack) -> None:
    page = admin.open("/?app=DViz")
    with page.expect_download() as downloading:
        page.locator("#app-usage").get_by_role("link", name="CSV").click()
    assert downloading.value.suggested_filename.endswith(".csv")
    told = list(csv.DictReader(downloading.value.path().read_text(encoding="utf-8").splitlines()))
    query = urlsplit(downloading.value.url).query.replace("format=csv", "limit=10000")
    rows = stack.get(f"/api/reports/apps?{query}").json()["rows"]
    assert told == [{name: str(value) for name, value in row.items()} for row in rows] != []
    page.locator("#app-usage summary").click()
    shown = {cells[0]: cells[1] for cells in _rows(page, "app-usage")}
    assert {row["event_date"]: f"{int(row['event_count']):,}" for row in told}.items() <= shown.items()


def test_time_without_tracking_is_marked_and_named(admin: Admin) -> None:
    page = admin.open("/")
    expect(page.get_by_text("Tracking was switched off in this range")).to_be_visible()
    for name in ("activity-by-day", "daily-activity", "visitors"):
        figure = page.locator(f"#{name}")
        expect(figure.get_by_text("Tracking was off")).to_be_visible()
        expect(figure.locator("svg .mark-rect path").first).to_be_attached()


def test_charts_are_drawn_under_the_policy(admin: Admin) -> None:
    page = admin.open("/")
    figures = page.locator("figure.chart")
    assert figures.count() >= 7
    for number in range(figures.count()):
        expect(figures.nth(number).locator("[data-drawing] svg.marks")).to_be_visible()


def test_tables_and_filters_work_without_javascript(
    browser: Browser, stack: AdminStack, signed_in: StorageState
) -> None:
    with _admin(browser, stack, signed_in, has_javascript=False) as admin:
        page = admin.open("/")
        page.get_by_label("App", exact=True).select_option("Alpha")
        page.get_by_role("button", name="Apply").click()
        expect(page).to_have_url(re.compile("app=Alpha"))
        assert {row[0] for row in _rows(page, "events")} == {"Alpha"}
        page.locator("#documents").get_by_role("link", name="A1").click()
        expect(page).to_have_url(re.compile("level=A1"))
        assert {row[0] for row in _rows(page, "documents")} == {"Nouns", "Verbs"}
        page.locator("#visitors summary").click()
        expect(page.locator("#visitors table")).to_be_visible()


@pytest.mark.parametrize("path", ["/?level=A1&chapter=Verbs&app=Alpha", "/controls", *SMALL_PAGES])
def test_axe_finds_nothing_grave(admin: Admin, path: str) -> None:
    page = admin.open(path)
    _await_drawings(page)
    for theme, width in product(THEMES, (1440, 375)):
        page.emulate_media(color_scheme=theme)
        page.set_viewport_size({"width": width, "height": 900})
        _await_drawings(page)
        page.locator("details").evaluate_all("all => all.forEach(one => one.open = true)")
        found = Axe().run(page).response["violations"]
        grave = [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in {"serious", "critical"}]
        assert (theme, width, grave) == (theme, width, [])
        # what is wide scrolls in its own place
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_first_event_is_sent_by_the_line_that_is_shown(browser: Browser, migrated: Footfall) -> None:
    with running_fresh(migrated) as stack, _admin(browser, stack) as admin:
        page = admin.open("/")
        admin.sign_in(page)
        expect(page.get_by_role("heading", name="Send the first event")).to_be_visible()
        lines = page.locator(".steps pre").all_inner_texts()
        env = {**stack.footfall.env, "PATH": f"{Path(PROGRAM).parent}:{stack.footfall.env['PATH']}"}
        answer = subprocess.run(["bash", "-euc", "\n".join(lines)], env=env, capture_output=True, text=True, check=True)
        assert '"accepted":1' in answer.stdout.replace(" ", "")


@contextmanager
def _admin(
    browser: Browser, stack: AdminStack, cookies: StorageState | None = None, has_javascript: bool = True
) -> Iterator[Admin]:
    """A browser profile; afterwards, nothing may have gone elsewhere, failed, or carried a key where it is noted."""
    context = browser.new_context(storage_state=cookies, java_script_enabled=has_javascript)
    admin = Admin(stack, context)
    yield admin
    context.close()
    assert (admin.strangers, admin.faults) == ([], [])
    addresses = [request.url for request in admin.requests]
    assert addresses
    assert not [url for url in addresses if any(key in url for key in stack.keys.values())]
    assert not [scope for scope, key in stack.keys.items() if key in stack.logs()]


def _rows(page: Page, place: str) -> list[list[str]]:
    """The cells of a table as they are shown."""
    rows = page.locator(f"#{place} tbody tr").all()
    return [row.locator("th, td:not([aria-hidden])").all_inner_texts() for row in rows]


def _await_drawings(page: Page) -> None:
    page.wait_for_function(
        "[...document.querySelectorAll('[data-drawing]')].every(place => place.querySelector('svg.marks'))"
    )


def _today() -> date:
    return datetime.now(UTC).date()
