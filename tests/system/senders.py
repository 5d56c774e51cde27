"""People who send from known addresses, behind one proxy, and what goes wrong; what is left of it is for the tests."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle, product
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from tests.system.conftest import Footfall

MARKER = "wombatparade"
REFUSED = "refused by postgres"
FAILED = "failed in postgres"

# of the ranges that are kept for documentation, so no program or configuration has them; first as everybody writes it,
# then as proxies do
WRITTEN = {
    "Ann": ("203.0.113.77", "203.0.113.77:51234", "::ffff:203.0.113.77", "[::FFFF:203.0.113.77]:443"),
    "Bob": ("198.51.100.23", "::ffff:c633:6417"),
    "Cem": (
        "2001:db8::1428:57ab",
        "2001:0DB8:0000:0000:0000:0000:1428:57AB",
        "[2001:db8:0:0::1428:57ab]",
        "[2001:db8::1428:57ab]:8443",
        "2001:db8::1428:57ab%eth0",
    ),
    "Dot": ("2001:db8:cafe::9", "[2001:db8:cafe:0:0:0:0:9]:1"),
}
# what a client itself writes into the headers of proxies
FORGED = ("192.0.2.66", "2001:db8:bad::1")

# a word from the beginning and one from the end of each agent, as one that is cut short must not be stored either
AGENT_WORDS = ("zebrafinch", "quokkatail")
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; Zebrafinch) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36 Quokkatail/1"
AGENTS = (
    BROWSER,
    "Zebrafinch-bot/2.1 (+http://example.com/bot; Quokkatail)",
    "Zebrafinch'); DROP TABLE tracking_events; -- ${jndi:ldap://x} %s%n {0} <script>Quokkatail</script>",
    "Zebrafinch \xff\xfe\x80 Quokkatail",
    f"Zebrafinch {'(' * 5_000} Quokkatail",
)


# enough is earned for each redeem, and bought for each spend
MOVES: dict[str, dict[str, Any]] = {
    "/api/points/earn": {"user_id": 7, "points": 1_000},
    "/api/points/redeem": {"user_id": 7, "credits": 2},
    "/api/credits/spend": {"user_id": 7, "credits": 1},
    "/api/points/reverse": {"log_id": 1, "reason": "a mistake"},
}


@dataclass
class Senders:
    """People behind a proxy, with their agents, and what they were told."""

    footfall: Footfall
    keys: dict[str, str] = field(default_factory=dict)
    session: requests.Session = field(default_factory=requests.Session)
    agents: Iterator[str] = field(default_factory=lambda: cycle(AGENTS))
    answers: list[bytes] = field(default_factory=list)
    event_ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        # a killed worker takes its connections along, and one that starts has none yet
        again = Retry(200, allowed_methods=None, backoff_factor=0.1, backoff_max=0.5, respect_retry_after_header=False)
        self.session.mount("http://", HTTPAdapter(max_retries=again))

    def wait_for_ingest(self) -> None:
        assert self.session.get(self.footfall.url("ingest") + "/healthz", timeout=30).ok
        for scope in ("write", "server", "admin"):
            self.keys[scope] = self.footfall.run("keys", "create", "--scope", scope).stdout.strip()

    def send(self, method: str, path: str, written: str, **given: Any) -> int:  # noqa: ANN401, as requests has it
        """Send by a proxy that adds the address it saw to what the client wrote; return the status."""
        url = self.footfall.url(given.pop("app", "ingest")) + path
        key = self.keys[given.pop("scope", "write")]
        agent = given.pop("agent", None) or next(self.agents)
        headers = {
            "Authorization": f"Bearer {given.pop('key', key)}",
            "User-Agent": agent.encode("latin-1"),
            "X-Forwarded-For": f"{FORGED[0]}, {FORGED[1]}, {written}",
            "Forwarded": f'for="[{FORGED[1]}]"',
            **dict.fromkeys(("X-Real-IP", "CF-Connecting-IP", "X-Client-IP"), FORGED[0]),
            **given.pop("headers", {}),
        }
        answer = self.session.request(method, url, headers=headers, timeout=30, **given)
        self.answers.append(f"{answer.headers}".encode() + answer.content)
        if answer.status_code == 202:
            self.event_ids.update(answer.json()["event_ids"])
        return answer.status_code

    def post_everything(self) -> None:
        """Post every kind of record from every address, however written."""
        for name in WRITTEN:
            for written, (path, body) in product(WRITTEN[name], bodies(name).items()):
                assert self.send("POST", path, written, json=body) == 202
            for written, (path, body) in product(WRITTEN[name], MOVES.items()):
                headers = {"Idempotency-Key": uuid.uuid4().hex}
                status = self.send("POST", path, written, json=body, scope="server", headers=headers)
                # a row is reversed once; and Postgres may be away
                assert status in {200, 409, 503}, (path, status)

    def look_around(self) -> None:
        """Open what there is to be opened, by whom it is for and by a stranger."""
        pages = ("ingest", "/metrics"), ("ingest", "/openapi.json"), ("admin", "/sign-in"), ("dagster", "/server_info")
        for app, path in pages:
            assert self.send("GET", path, WRITTEN["Ann"][0], app=app) == 200
        for path in ("/", "/controls", "/api/stats", "/api/audit", "/api/rejected"):
            assert self.send("GET", path, WRITTEN["Ann"][0], app="admin", scope="admin") == 200
        assert self.send("GET", "/api/stats", WRITTEN["Ann"][0], app="admin", key="of somebody else") == 401

    def cause_errors(self) -> None:
        """Get every answer that ingest has for what is wrong."""
        for name, (written, *_) in WRITTEN.items():
            for path, body in bodies(name).items():
                assert self.send("POST", path, written, data="{") == 400
                assert self.send("POST", path, written, json={field: [7] for field in body}) == 400
                assert self.send("POST", path, written, json=[body, {}]) == 202
            for status, method, path, given in errors(name):
                assert self.send(method, path, written, **given) == status, (method, path, given)


def bodies(name: str) -> dict[str, dict[str, Any]]:
    """Return for each path a record that is good, and by whose name its row is found again."""
    audience = {"user_type": "student", "app_name": "DViz"}
    return {
        "/api/track-visit": {"session_id": name},
        "/api/heartbeat": {"user_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, name))},
        "/api/activity": {"event_type": "action", "action_name": name},
        "/api/events": {**audience, "event_type": "visit", "event_name": MARKER, "session_id": name},
        "/api/documents": {**audience, "level_name": "A1", "chapter_name": "Verbs", "document_name": name},
        "/api/sessions/heartbeat": {**audience, "session_id": name, "user_id": 7},
    }


def errors(name: str) -> Iterator[tuple[int, str, str, dict[str, Any]]]:
    """Yield what goes wrong: the status, the method, the path, and what is sent."""
    event = bodies(name)["/api/events"]
    # Postgres refuses it later
    yield 202, "POST", "/api/events", {"json": {**event, "event_name": REFUSED}}
    yield 413, "POST", "/api/events", {"data": b" " * (2**20 + 1)}
    yield 400, "POST", "/api/events", {"data": b"no gzip", "headers": {"Content-Encoding": "gzip"}}
    yield 415, "POST", "/api/events", {"data": b"{}", "headers": {"Content-Type": "text/html"}}
    yield 401, "POST", "/api/events", {"json": event, "key": "of somebody else"}
    yield 403, "PUT", "/api/accounts", {"json": {}}
    yield 404, "POST", "/api/nothing", {"json": event}
    yield 405, "PATCH", "/api/events", {"json": event}
    # not even a request to Flask
    yield 400, "POST", "/api/events", {"json": event, "agent": "Zebrafinch \0 Quokkatail"}
    for status, given in ((503, REFUSED), (500, FAILED)):
        body = {"id": str(uuid.uuid4()), "name": given}
        yield status, "PUT", "/api/organizations", {"json": body, "scope": "server"}
