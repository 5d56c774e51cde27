"""A headless Chromium, and pages for it on an origin of their own. What the pages do is the tests' affair.

Playwright drives the browser that the machine has and downloads none: one wheel with nothing to match, where Selenium
needs eight packages and a chromedriver of the browser's very version, and cannot take a page offline.
"""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
QUIET = ("gpu", "quic", "background-networking", "component-update", "sync")
# a headless browser says so, and is taken for the bot that it is
USER_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


class Site:
    """A web server whose pages are given as text; each gets an address."""

    def __init__(self, port: int) -> None:
        self.origin = f"http://127.0.0.1:{port}"
        self.pages: list[str] = []

    def add(self, html: str) -> str:
        """Serve a page from now on and return its address."""
        self.pages.append(html)
        return f"{self.origin}/{len(self.pages) - 1}"


@contextmanager
def open_site() -> Iterator[Site]:
    """Serve pages on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            number = self.path.strip("/")
            found = number.isdigit() and int(number) < len(site.pages)
            body = site.pages[int(number)].encode() if found else b""
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: the tests' output is about what failed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site = Site(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield site
        server.shutdown()


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start the machine's Chromium; where there is none, the test skips."""
    program = next((path for name in PROGRAMS if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip("no Chromium on this machine (Debian: apt-get install chromium)")
    arguments = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in QUIET)]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=arguments)
        yield browser
        browser.close()
