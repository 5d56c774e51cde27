"""A visitor of a page with the tracker on it, and the footfall that counts him. What he does is the tests' affair."""

import signal
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from playwright.sync_api import BrowserContext, Page, Request

from tests.system.browser import Site
from tests.system.conftest import Footfall, Running, starting


@dataclass(frozen=True)
class Stack:
    """A running footfall, its write key and its database."""

    footfall: Footfall
    up: Running
    database_url: str
    key: str

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(query, values).fetchall()

    def names(self, app: str) -> list[str]:
        """Return the names of an app's events, each as often as it has arrived."""
        query = "SELECT event_name FROM tracking_events WHERE app_name = %s ORDER BY event_name"
        return [name for (name,) in self.rows(query, app)]

    @contextmanager
    def ingest_stopped(self) -> Iterator[None]:
        """Kill the ingest app, and hold back the one who would start it again."""
        self.up.process.send_signal(signal.SIGSTOP)
        try:
            for process in self.footfall.processes():
                if self.footfall.env["FOOTFALL_INGEST_PORT"] in process.cmdline():
                    process.kill()
            yield
        finally:
            self.up.process.send_signal(signal.SIGCONT)


@dataclass
class Visitor:
    """A browser profile that opens pages of one app, whose name no other test uses."""

    stack: Stack
    site: Site
    context: BrowserContext
    app: str = field(default_factory=lambda: f"app {uuid.uuid4().hex[:8]}")
    requests: list[Request] = field(default_factory=list)
    faults: list[object] = field(default_factory=list)

    def open(self, head: str = "", **options: str) -> Page:
        """Open a page whose tracker has these options, and wait for it."""
        page = self.context.new_page()
        page.on("request", lambda request: self.requests.append(request))
        page.on("pageerror", lambda fault: self.faults.append(fault))
        page.goto(self.address(head, **options))
        page.wait_for_function("!!window.footfall?.event && !footfall.q")
        return page

    def address(self, head: str = "", **options: str) -> str:
        given = {"key": self.stack.key, "app": self.app, **options}
        attributes = " ".join(f'data-{name.replace("_", "-")}="{value}"' for name, value in given.items())
        script = f'<script async src="{self.stack.footfall.url("ingest")}/tracker.js" {attributes}></script>'
        return self.site.add(f'<!doctype html><link rel="icon" href="data:,">{head}{script}<h1>Lesson</h1>')

    def sent(self, path: str) -> list[Request]:
        return [request for request in self.requests if f"/api/{path}?" in request.url]

    def event_ids(self) -> set[str]:
        """Return the ids of all events that requests brought, in however many attempts."""
        return {record["event_id"] for request in self.sent("events") for record in request.post_data_json or []}

    def names(self) -> list[str]:
        return self.stack.names(self.app)


@contextmanager
def running(footfall: Footfall) -> Iterator[Running]:
    """Run `footfall up`, which is up."""
    with starting(footfall) as up:
        up.wait_for("Ctrl-C stops everything")
        yield up


def wait_until(page: Page, is_true: Callable[[], bool]) -> None:
    """Look until it is so; the browser's events come in while the page waits."""
    for _ in range(600):
        if is_true():
            return
        page.wait_for_timeout(50)
    pytest.fail("it did not happen within 30 s")
