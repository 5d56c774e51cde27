"""Charts in a real browser, under the headers of every page; and the script that draws them."""

import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path
from threading import Thread

import pytest
from flask import render_template_string
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect
from werkzeug.serving import make_server

from admin_app.charts import CHARTS, make_chart
from admin_app.vega import find_script, script_name
from tests.integration.admin.conftest import Admin
from tests.system.browser import open_browser
from tests.unit.chart_reports import BEGIN, END, a_report, full_chart

PAGE = """{% from "chart.html" import figure, scripts %}<!doctype html><html lang="en"><title>Charts</title>
<link rel="icon" href="data:,">{{ scripts() }}
<body>{% for chart in charts %}{{ figure(chart, "/api/reports/x?format=csv", "All apps.") }}{% endfor %}"""
PHONE, DESK = ViewportSize(width=375, height=800), ViewportSize(width=1440, height=900)
BOXES = """texts => texts.map(text => {
  const { left, right, top, bottom } = text.getBoundingClientRect();
  return [text.textContent, left, right, top, bottom];
})"""
SCRIPT = f"/vega/{script_name()}"


@pytest.fixture(scope="module")
def made_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script, as two processes made it at once."""
    folder = tmp_path_factory.mktemp("home") / "cache"
    with ThreadPoolExecutor() as pool:
        [path, _] = pool.map(find_script, (folder, folder))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as browser:
        yield browser


@pytest.fixture
def cached(admin_away: Admin, made_script: Path) -> None:
    """A home folder that has the script."""
    shutil.copy(made_script, admin_away.settings.cache_folder)


@pytest.fixture
def uncached(admin_away: Admin) -> None:
    """A home folder into which nothing can be put."""
    shutil.rmtree(admin_away.settings.cache_folder)
    admin_away.settings.cache_folder.write_text("no folder")


@pytest.fixture
def charts_page(admin_away: Admin) -> str:
    """The path of a page with all charts, and one without data."""
    charts = [*map(full_chart, CHARTS), make_chart("points", a_report("points"), BEGIN, END)]
    admin_away.app.add_url_rule("/charts", "charts", lambda: render_template_string(PAGE, charts=charts))
    return "/charts"


@pytest.fixture
def served(admin_away: Admin, charts_page: str) -> Iterator[str]:
    """Its address for a browser."""
    server = make_server("127.0.0.1", 0, admin_away.app, threaded=True)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.port}{charts_page}"
    server.shutdown()


@pytest.fixture
def page(browser: Browser, admin_away: Admin, served: str) -> Iterator[Page]:
    """A phone on the other side of the earth, signed in."""
    context = browser.new_context(viewport=PHONE, timezone_id="Pacific/Auckland", extra_http_headers=admin_away.bearer)
    page = context.new_page()
    page.goto(served)
    yield page
    context.close()


def test_two_that_make_the_script_leave_one(made_script: Path) -> None:
    assert [path.name for path in made_script.parent.iterdir()] == [script_name()]
    assert "vegaEmbed" in made_script.read_text(encoding="utf-8")


def test_script_is_kept_by_browsers(admin_away: Admin, cached: None) -> None:
    with admin_away.get(SCRIPT) as answer:
        assert (answer.status_code, answer.mimetype) == (200, "text/javascript")
        assert answer.cache_control.immutable
        assert answer.cache_control.max_age == 365 * 24 * 3600


def test_script_needs_a_key(admin_away: Admin) -> None:
    assert admin_away.client.get(SCRIPT).status_code == 303


def test_script_of_another_version_is_not_there(admin_away: Admin) -> None:
    assert admin_away.get("/vega/vega-0.0.0.js").status_code == 404


def test_script_that_cannot_be_kept_is_refused(admin_away: Admin, uncached: None) -> None:
    answer = admin_away.get(SCRIPT)
    assert answer.status_code == 503
    assert "could not be put at" in answer.text


def test_chart_without_data_says_so(admin_away: Admin, charts_page: str) -> None:
    page = admin_away.get(charts_page).text
    assert page.count("No data in this range") == 1
    assert page.count("data-drawing") == len(CHARTS)


def test_charts_draw_under_the_page_headers(cached: None, page: Page) -> None:
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.reload()
    for name in CHARTS:
        expect(_drawing(page, name)).to_be_visible()
    assert said == []


def test_labels_keep_apart_on_a_phone(cached: None, page: Page) -> None:
    for name in CHARTS:
        expect(_drawing(page, name)).to_be_visible()
        texts = _drawing(page, name).locator("text:not([opacity='0'])").evaluate_all(BOXES)
        assert len(texts) > 5
        assert [(one[0], other[0]) for one, other in combinations(texts, 2) if _overlap(one[1:], other[1:])] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_drawing_follows_window_and_theme(cached: None, page: Page) -> None:
    line = _drawing(page, "points").locator(".mark-line path").first
    narrow = _drawing(page, "points").bounding_box()
    expect(line).to_have_attribute("stroke", "#0072b2")
    page.emulate_media(color_scheme="dark")
    expect(line).to_have_attribute("stroke", "#56b4e9")
    page.set_viewport_size(DESK)
    assert narrow
    expect(_drawing(page, "points")).not_to_have_attribute("width", f"{narrow['width']:.0f}")


def test_pointing_at_a_day_tells_its_counts(cached: None, page: Page) -> None:
    drawing = _drawing(page, "app-usage")
    drawing.locator(".pointer_marks path").last.hover()
    told = page.locator("#chart-tooltip")
    expect(told.locator("strong")).to_have_text("Mon 23 Nov 2026")
    chart = full_chart("app-usage")
    expect(told.locator("th")).to_have_text(list(chart.legend))
    expect(told.locator("td")).to_have_text([f"{count:,}" for count in chart.rows[-1][1:]])
    box = told.bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]


def test_drawing_is_an_image_that_speaks(cached: None, page: Page) -> None:
    spec = full_chart("points").spec
    assert spec
    expect(page.get_by_role("img", name=spec["description"])).to_be_visible()


def test_numbers_stay_when_nothing_can_be_drawn(uncached: None, page: Page) -> None:
    figure = page.locator("#points")
    expect(figure.get_by_text("could not be drawn")).to_be_visible()
    expect(figure.get_by_role("row", name="2026-11-23")).to_be_visible()


def _drawing(page: Page, name: str) -> Locator:
    return page.locator(f"#{name}").first.locator("svg.marks")


def _overlap(one: Sequence[float], other: Sequence[float]) -> bool:
    left, right, top, bottom = one
    other_left, other_right, other_top, other_bottom = other
    across = min(right, other_right) - max(left, other_left)
    down = min(bottom, other_bottom) - max(top, other_top)
    return across > 1 and down > 1
