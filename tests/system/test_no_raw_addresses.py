"""No raw address or user agent is kept: what a footfall leaves behind after errors, kills and restarts is searched.

The senders come through one trusted proxy. Which hash one gets is looked at here too, not how agents are read.
"""

import hmac
import signal
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from ipaddress import ip_address
from itertools import cycle, product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import psutil
import psycopg
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from tests.system.conftest import Footfall, Running, _footfall
from tests.system.visitor import running

SECRET = "of this test alone"
MARKER = "wombatparade"
REFUSED = "refused by postgres"
FAILED = "failed in postgres"
DEADLINE_SECONDS = 60

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

CONSTRAINTS = f"""
    ALTER TABLE tracking_events ADD CONSTRAINT refused CHECK (event_name <> '{REFUSED}');
    ALTER TABLE organizations ADD CONSTRAINT refused CHECK (name <> '{REFUSED}');
    CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'failed'; END $$;
    CREATE TRIGGER fail BEFORE INSERT ON organizations FOR EACH ROW
        WHEN (NEW.name = '{FAILED}') EXECUTE FUNCTION fail();
"""
ARRIVED = """
    SELECT count(*) FROM unnest(%(ids)s::uuid[]) AS given (id)
    WHERE EXISTS (SELECT FROM event_ids WHERE event_id = given.id)
        OR EXISTS (SELECT FROM rejected_records WHERE event_id = given.id)
"""
HASHES = {
    "events": "SELECT session_id, array_agg(DISTINCT ip_hash::text) FROM tracking_events GROUP BY 1",
    "documents": "SELECT document_name, array_agg(DISTINCT ip_hash::text) FROM tracking_documents GROUP BY 1",
    "visitors": "SELECT session_id, array_agg(DISTINCT ip_hash) FROM visitor_sessions GROUP BY 1",
    "agents": "SELECT 'agents', array_agg(DISTINCT ua_hash) FROM visitor_sessions",
    "rejected": "SELECT body::json ->> 'session_id', array_agg(DISTINCT body::json ->> 'ip_hash') "
    "FROM rejected_records GROUP BY 1",
}

# by place (spool, files, …) and word: where it was found
Findings = dict[str, dict[str, list[str]]]
Hashes = dict[str, dict[str, list[str]]]


@dataclass
class Senders:
    """People behind a proxy, with their agents, and what they were told."""

    footfall: Footfall
    keys: dict[str, str]
    session: requests.Session = field(default_factory=requests.Session)
    agents: Iterator[str] = field(default_factory=lambda: cycle(AGENTS))
    answers: list[bytes] = field(default_factory=list)
    event_ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        # a killed worker takes its connections along
        again = Retry(10, allowed_methods=None, backoff_factor=0.1, respect_retry_after_header=False)
        self.session.mount("http://", HTTPAdapter(max_retries=again))

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

    def look_around(self) -> None:
        """Open what everybody may open."""
        for app, path in (
            ("ingest", "/metrics"),
            ("ingest", "/openapi.json"),
            ("admin", "/"),
            ("dagster", "/server_info"),
        ):
            assert self.send("GET", path, WRITTEN["Ann"][0], app=app) == 200

    def cause_errors(self) -> None:
        """Get every answer that ingest has for what is wrong."""
        for name, (written, *_) in WRITTEN.items():
            for path, body in bodies(name).items():
                assert self.send("POST", path, written, data="{") == 400
                assert self.send("POST", path, written, json={field: [7] for field in body}) == 400
                assert self.send("POST", path, written, json=[body, {}]) == 202
            for status, method, path, given in errors(name):
                assert self.send(method, path, written, **given) == status, (method, path, given)


@dataclass(frozen=True)
class Left:
    """What there was at the end: where words were found, and hashes by table and sender."""

    findings: Findings
    hashes: Hashes
    post_paths: set[str]


@pytest.fixture(scope="module")
def left() -> Iterator[Left]:
    """Post from known addresses, with errors, kills and restarts in between; stop; search."""
    env = {"FOOTFALL_TRUSTED_PROXIES": "1", "FOOTFALL_SECRET": SECRET}
    # not a folder of pytest's: while other test runs start beside this one, it bars Postgres's user from all of them
    with TemporaryDirectory(prefix="footfall-") as folder, contextmanager(_footfall)(Path(folder), env) as footfall:
        findings: Findings = {}
        with running(footfall) as up:
            keys = {scope: up.wait_for(rf"{scope} key +(\S+)")[1] for scope in ("write", "server")}
            senders = Senders(footfall, keys)
            with connect(footfall) as connection:
                connection.execute(CONSTRAINTS)
            senders.post_everything()
            senders.look_around()
            senders.cause_errors()
            worker(footfall).kill()
            senders.post_everything()
            with drainer_and_postgres_killed(footfall, up):
                senders.post_everything()
                body = {"id": str(uuid.uuid4()), "name": "Postgres is away"}
                assert senders.send("PUT", "/api/organizations", WRITTEN["Ann"][0], json=body, scope="server") == 503
                findings["spool"] = search(files(footfall.home / "spool"))
            wait_until_arrived(footfall, senders.event_ids)
        first = up.lines
        with running(footfall) as up:
            senders.post_everything()
            wait_until_arrived(footfall, senders.event_ids)
            refresh(footfall)
            described = requests.get(footfall.url("ingest") + "/openapi.json", timeout=10).json()["paths"]
            with connect(footfall) as connection:
                findings["postgres"] = search(postgres_tables(connection))
                hashes: Hashes = {name: dict(connection.execute(query).fetchall()) for name, query in HASHES.items()}
        output = "".join(first + up.lines).encode()
        findings["output"] = search([("up", output)])
        findings["answers"] = search((f"answer {number}", answer) for number, answer in enumerate(senders.answers))
        findings["duckdb"] = search(duckdb_tables(footfall.home))
        findings["files"] = search(files(footfall.home))
        yield Left(findings, hashes, {path for path, methods in described.items() if "post" in methods})


@pytest.mark.parametrize("place", ["spool", "postgres", "duckdb", "files", "output", "answers"])
def test_nothing_holds_raw_address_or_agent(left: Left, place: str) -> None:
    assert {word: where for word, where in left.findings[place].items() if word != MARKER} == {}


@pytest.mark.parametrize("place", ["spool", "postgres", "duckdb", "files"])
def test_search_finds_what_may_be_stored(left: Left, place: str) -> None:
    assert left.findings[place][MARKER] != []


@pytest.mark.parametrize("kind", ["events", "documents", "visitors", "rejected"])
def test_address_has_one_hash_however_written(left: Left, kind: str) -> None:
    assert left.hashes[kind] == {name: [keyed_hash(written[0])] for name, written in WRITTEN.items()}


def test_agents_are_kept_as_hashes(left: Left) -> None:
    kept = left.hashes["agents"]["agents"]
    assert kept != []
    assert set(kept) <= {keyed_hash(agent) for agent in AGENTS}


def test_every_path_was_posted_to(left: Left) -> None:
    assert left.post_paths == set(bodies("Ann"))


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


def keyed_hash(text: str) -> str:
    return hmac.digest(SECRET.encode(), text.encode(), "sha256").hex()


def worker(footfall: Footfall) -> psutil.Process:
    """Return a worker of ingest: what has a spool open to write to it."""
    running = (process for process in footfall.processes() if "ingest_app.drain" not in process.cmdline())
    return next(process for process in running if any(".spool" in file.path for file in process.open_files()))


def drainer(footfall: Footfall) -> psutil.Process:
    return next(process for process in footfall.processes() if "ingest_app.drain" in process.cmdline())


def connect(footfall: Footfall) -> psycopg.Connection:
    return psycopg.connect(drainer(footfall).environ()["DATABASE_URL"], autocommit=True)


@contextmanager
def drainer_and_postgres_killed(footfall: Footfall, up: Running) -> Iterator[None]:
    """Kill both, and hold back the one who would start them again."""
    postgres = int((footfall.home / "postgres" / "postmaster.pid").read_text().split()[0])
    up.process.send_signal(signal.SIGSTOP)
    try:
        drainer(footfall).kill()
        psutil.Process(postgres).kill()
        yield
    finally:
        up.process.send_signal(signal.SIGCONT)


def wait_until_arrived(footfall: Footfall, event_ids: set[str]) -> None:
    def have_arrived() -> bool:
        try:
            with connect(footfall) as connection:
                return connection.execute(ARRIVED, {"ids": list(event_ids)}).fetchone() == (len(event_ids),)
        except (psycopg.OperationalError, StopIteration, KeyError, psutil.NoSuchProcess):
            return False  # Postgres or the drainer is not back yet

    deadline = time.monotonic() + DEADLINE_SECONDS
    while not have_arrived():
        assert time.monotonic() < deadline, "what was accepted did not come to Postgres"


def refresh(footfall: Footfall) -> None:
    """Refresh; once more where the schedule's own refresh came between."""
    answers = (footfall.run("refresh") for _ in range(3))
    assert any(answer.returncode == 0 for answer in answers)


def search(places: Iterable[tuple[str, bytes]]) -> dict[str, list[str]]:
    """Say by word in which places it is, in letters of any case."""
    found: dict[str, list[str]] = {}
    for place, content in places:
        lowered = content.lower()
        for name, word in words():
            if word in lowered:
                found.setdefault(name, []).append(place)
    return found


@cache
def words() -> list[tuple[str, bytes]]:
    """List what is searched for, by a name: in all ways in which programs write addresses, and as proxies did."""
    texts = {text.lower() for written in WRITTEN.values() for text in written} | set(FORGED)
    for address in [ip_address(written[0]) for written in WRITTEN.values()] + [ip_address(text) for text in FORGED]:
        texts |= {str(address), address.exploded, address.reverse_pointer, str(int(address))}
        if address.version == 6:
            texts.add(address.packed.hex())
    packed = [("packed " + text, ip_address(text).packed) for text in ("2001:db8::1428:57ab", "2001:db8:cafe::9")]
    return [(text, text.encode()) for text in (*sorted(texts), *AGENT_WORDS, MARKER)] + packed


def files(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield all files, with their names."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield str(path), path.name.encode() + b" " + path.read_bytes()


def postgres_tables(connection: psycopg.Connection) -> Iterator[tuple[str, bytes]]:
    """Yield the rows of all tables of all schemas, Postgres's own too."""
    # bytes as they are, not in hex
    connection.execute("SET bytea_output = 'escape'")
    query = "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'm') ORDER BY 1"
    for (table,) in connection.execute(query).fetchall():
        with connection.cursor().copy(f"COPY {table} TO STDOUT".encode()) as rows:
            yield table, b"".join(rows)


def duckdb_tables(home: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the rows of all tables of all DuckDB files, which are packed there."""
    query = 'SELECT format(\'"{}"."{}"\', schema_name, table_name) FROM duckdb_tables()'
    for path in home.rglob("*.duckdb"):
        with duckdb.connect(path, read_only=True) as connection:
            for (table,) in connection.sql(query).fetchall():
                yield f"{path.name}: {table}", repr(connection.sql(f"FROM {table}").fetchall()).encode()
