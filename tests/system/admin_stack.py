"""What an admin's browser meets: write side and page as processes, some weeks of history published, no Dagster."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import requests
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, Route

from tests.system.admin_history import Sender, send_history
from tests.system.conftest import DEADLINE_SECONDS, Footfall, starting
from tests.system.killing import wait_until

LOG_CONFIG = Path(__file__).parents[2] / "ingest_app" / "logging.json"
SCOPES = ("write", "server", "admin")


@dataclass(frozen=True)
class AdminStack:
    """Addresses and keys of a running footfall, whose processes log into its home folder."""

    footfall: Footfall
    keys: dict[str, str]

    @property
    def url(self) -> str:
        return self.footfall.url("admin")

    @property
    def sender(self) -> Sender:
        return Sender(self.footfall, self.keys["server"])

    def get(self, path: str) -> requests.Response:
        """Ask the page's API as a script does."""
        headers = {"Authorization": f"Bearer {self.keys['admin']}"}
        answer = requests.get(self.url + path, headers=headers, timeout=10)
        assert answer.status_code == 200, answer.text
        return answer

    def post_event(self) -> dict[str, Any]:
        """Post an event as an app does, and return what ingest says of it."""
        event = {"user_type": "guest", "app_name": "DViz", "event_type": "visit", "event_name": "switch"}
        headers = {"Authorization": f"Bearer {self.keys['write']}"}
        url = self.footfall.url("ingest") + "/api/events"
        answer: dict[str, Any] = requests.post(url, json=event, headers=headers, timeout=10).json()
        return answer

    def logs(self) -> str:
        return "".join(path.read_text() for path in self.footfall.home.glob("logs/*"))


@dataclass
class Admin:
    """An admin's browser profile, cut off from everything but the page, that notes what goes over its line."""

    stack: AdminStack
    context: BrowserContext
    requests: list[Request] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.context.route("**/*", self._let_pass)
        self.context.on("request", lambda request: self.requests.append(request))
        self.context.on("console", self._note)
        self.context.on("weberror", lambda fault: self.faults.append(str(fault.error)))

    def open(self, path: str = "/") -> Page:
        page = self.context.new_page()
        page.goto(self.stack.url + path)
        return page

    def sign_in(self, page: Page, key: str | None = None) -> None:
        page.get_by_label("Admin key").fill(key or self.stack.keys["admin"])
        page.get_by_role("button", name="Sign in").click()

    def _let_pass(self, route: Route) -> None:
        if route.request.url.startswith((self.stack.url + "/", "data:")):
            route.continue_()
        else:
            self.strangers.append(route.request.url)
            route.abort()

    def _note(self, message: ConsoleMessage) -> None:
        # that an answer was 4xx is for a test to say
        if message.type in {"error", "warning"} and "the server responded with a status of 4" not in message.text:
            self.faults.append(message.text)


@contextmanager
def running_admin(footfall: Footfall) -> Iterator[AdminStack]:
    """Run write side and page on a migrated database, with history in which tracking was off for a moment."""
    with _write_side(footfall) as (footfall, keys):
        stack = AdminStack(footfall, keys)
        send_history(stack.sender)
        for value in "01":
            footfall.run("settings", "set", "tracking_enabled", value)
        metrics = footfall.url("ingest") + "/metrics"
        wait_until(lambda: "\nfootfall_spool_records 0.0\n" in requests.get(metrics, timeout=10).text)
        refreshed = footfall.run("refresh")
        assert refreshed.returncode == 0, refreshed.stdout + refreshed.stderr
        with _page(footfall):
            yield stack


@contextmanager
def running_fresh(footfall: Footfall) -> Iterator[AdminStack]:
    """Run write side and page on a migrated database where nothing was sent yet."""
    with _write_side(footfall) as (footfall, keys), _page(footfall):
        yield AdminStack(footfall, keys)


@contextmanager
def _write_side(footfall: Footfall) -> Iterator[tuple[Footfall, dict[str, str]]]:
    footfall = replace(footfall, env={**footfall.env, "FOOTFALL_SECRET": "of the tests"})
    with starting(footfall, "--only", "ingest") as up:
        keys = {scope: footfall.run("keys", "create", "--scope", scope).stdout.strip() for scope in SCOPES}
        up.wait_for("Ctrl-C stops everything")
        yield footfall, keys


@contextmanager
def _page(footfall: Footfall) -> Iterator[None]:
    """Serve the page as `footfall up` does, and wait until it knows keys and numbers."""
    port = footfall.env["FOOTFALL_ADMIN_PORT"]
    serve = ("granian", "--interface", "wsgi", "--factory", "admin_app.app:create_app", "--port", port, "--no-ws")
    command = [sys.executable, "-m", *serve, "--log-config", str(LOG_CONFIG)]
    with (footfall.home / "logs" / "admin.log").open("ab") as log:
        process = subprocess.Popen(command, env=footfall.env, cwd=footfall.home.parent, stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(footfall.url("admin") + "/healthz"))
        yield
    finally:
        process.terminate()
        process.wait(DEADLINE_SECONDS)


def _answers(url: str) -> bool:
    with suppress(requests.ConnectionError):
        return requests.get(url, timeout=5).ok
    return False
