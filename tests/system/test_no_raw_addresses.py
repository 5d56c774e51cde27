"""No raw address or user agent is kept: what a footfall leaves behind after errors, kills and restarts is searched.

The senders come through one trusted proxy. Which hash one gets is looked at here too, not how agents are read.
"""

import hmac
import signal
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import psutil
import psycopg
import pytest
import requests

from tests.system.conftest import Footfall, Running, _footfall, starting
from tests.system.senders import AGENT_WORDS, AGENTS, FAILED, FORGED, MARKER, MOVES, REFUSED, WRITTEN, Senders, bodies

SECRET = "of this test alone"
DEADLINE_SECONDS = 120

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
    "events": "SELECT session_id, array_agg(DISTINCT ip_hash::text) FROM tracking_events "
    "WHERE app_name <> 'footfall.canary' GROUP BY 1",
    "documents": "SELECT document_name, array_agg(DISTINCT ip_hash::text) FROM tracking_documents GROUP BY 1",
    "visitors": "SELECT session_id, array_agg(DISTINCT ip_hash) FROM visitor_sessions GROUP BY 1",
    "agents": "SELECT 'agents', array_agg(DISTINCT ua_hash) FROM visitor_sessions",
    "rejected": "SELECT body::json ->> 'session_id', array_agg(DISTINCT body::json ->> 'ip_hash') "
    "FROM rejected_records GROUP BY 1",
}

# two starts and a refresh take as long as the machine is busy
pytestmark = pytest.mark.timeout(600)

# by place (spool, files, …) and word: where it was found
Findings = dict[str, dict[str, list[str]]]
Hashes = dict[str, dict[str, list[str]]]


@dataclass(frozen=True)
class Left:
    """What there was at the end: where words were found, and hashes by table and sender."""

    findings: Findings
    hashes: Hashes
    post_paths: set[str]


@pytest.fixture(scope="module")
def left(give_models: Callable[[Path], None]) -> Iterator[Left]:
    """Post from known addresses, with errors, kills and restarts in between; stop; search."""
    env = {"FOOTFALL_TRUSTED_PROXIES": "1", "FOOTFALL_SECRET": SECRET}
    # not a folder of pytest's: while other test runs start beside this one, it bars Postgres's user from all of them
    with TemporaryDirectory(prefix="footfall-") as folder, contextmanager(_footfall)(Path(folder), env) as footfall:
        findings: Findings = {}
        give_models(footfall.home)
        with starting(footfall) as first:
            senders = Senders(footfall)
            # Dagster, which takes longest to come up, is not waited for
            senders.wait_for_ingest()
            with connect(footfall) as connection:
                connection.execute(CONSTRAINTS)
            senders.post_everything()
            senders.cause_errors()
            worker(footfall).kill()
            senders.post_everything()
        with starting(footfall) as second:
            second.wait_for("Ctrl-C stops everything")
            with drainer_and_postgres_killed(footfall, second):
                senders.post_everything()
                body = {"id": str(uuid.uuid4()), "name": "Postgres is away"}
                assert senders.send("PUT", "/api/organizations", WRITTEN["Ann"][0], json=body, scope="server") == 503
                findings["spool"] = search(files(footfall.home / "spool"))
            wait_until_arrived(footfall, senders.event_ids)
            senders.look_around()
            refresh(footfall)
            described = requests.get(footfall.url("ingest") + "/openapi.json", timeout=10).json()["paths"]
            with connect(footfall) as connection:
                findings["postgres"] = search(postgres_tables(connection))
                hashes: Hashes = {name: dict(connection.execute(query).fetchall()) for name, query in HASHES.items()}
        output = "".join(first.lines + second.lines).encode()
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
    assert MARKER in left.findings[place]


@pytest.mark.parametrize("kind", ["events", "documents", "visitors", "rejected"])
def test_address_has_one_hash_however_written(left: Left, kind: str) -> None:
    assert left.hashes[kind] == {name: [keyed_hash(written[0])] for name, written in WRITTEN.items()}


def test_agents_are_kept_as_hashes(left: Left) -> None:
    kept = left.hashes["agents"]["agents"]
    assert kept != []
    assert set(kept) <= {keyed_hash(agent) for agent in AGENTS}


def test_every_path_was_posted_to(left: Left) -> None:
    assert left.post_paths == {*bodies("Ann"), *MOVES}


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
        for name, word in words().items():
            if word in lowered:
                found.setdefault(name, []).append(place)
    return found


@cache
def words() -> dict[str, bytes]:
    """List what is searched for, by a name: addresses as proxies wrote them and as programs write them, agents."""
    texts = {text.lower() for written in WRITTEN.values() for text in written}
    packed = {}
    for address in map(ip_address, (*(written[0] for written in WRITTEN.values()), *FORGED)):
        texts |= {str(address), address.exploded, address.reverse_pointer, str(int(address))}
        if address.version == 6:
            texts.add(address.packed.hex())
            packed[f"{address} packed"] = address.packed.lower()
        else:
            # as the end of an IPv6 address; four bytes alone come by chance, too
            texts.add(address.packed.hex(":", 2))
    return {text: text.encode() for text in (*texts, *AGENT_WORDS, MARKER)} | packed


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
