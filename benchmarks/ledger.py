"""How fast points are earned over HTTP, beside pgbench with the least that a correct ledger can do.

That is a transaction of two statements by hand on the same tables, a log row and the balance: no key by which it is
made once, no settings, no HTTP. Both sides run in turn on the same Postgres, which writes each commit to its disk, with
as many connections; many users, and one whom all want. What was answered is compared with what is in the tables.
"""

import re
import statistics
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import psycopg
from rich.table import Table

from benchmarks.serving import Load, run_wrk, server
from ingest_app.database import make_engine
from ingest_app.keys import create_key

CONNECTIONS = 32
THREADS = 2
MANY_USERS = 100_000
WARM_SECONDS = 2.0
BY_HAND = """
\\set user_id random(1, {users})
BEGIN;
INSERT INTO user_point_logs (user_id, action, points) VALUES (:user_id, 'earn', 1);
INSERT INTO user_points AS b (user_id, points) VALUES (:user_id, 1)
ON CONFLICT (user_id) DO UPDATE SET points = b.points + excluded.points;
COMMIT;
"""
EARN = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {key}"
local count = 0
request = function()
    count = count + 1
    wrk.headers["Idempotency-Key"] = "{run}-" .. count
    return wrk.format(nil, nil, nil, string.format('{{"user_id": %d, "points": 1}}', math.random({users})))
end
"""
# how much is where: rows of the log, the sum of balances, keys
FOUND = """
    SELECT (SELECT count(*) FROM user_point_logs), (SELECT coalesce(sum(points), 0) FROM user_points),
        (SELECT count(*) FROM idempotency_keys)
"""


class Side(NamedTuple):
    """One side, and how many users earn."""

    name: str
    users: int
    run: Callable[[float], Load]


def measure_ledger(database_url: str, folder: Path, repetitions: int, seconds: float) -> Table:
    """Time both sides in turn, with many users and with one; medians of the repetitions."""
    key = _key(database_url)
    env = {"DATABASE_URL": database_url, "FOOTFALL_HOME": str(folder), "FOOTFALL_SECRET": "benchmark"}
    with (
        psycopg.connect(database_url, autocommit=True) as connection,
        server("ingest_app.app:create_app", env) as (url, _),
    ):
        _require_durable(connection)
        sides = [
            side
            for users in (MANY_USERS, 1)
            for side in (
                Side("two statements by hand, pgbench", users, _by_hand(connection, database_url, users)),
                Side("footfall: earn over HTTP", users, _over_http(connection, url, key, users)),
            )
        ]
        found: list[list[Load]] = [[] for _ in sides]
        for _ in range(repetitions):
            for side, loads in zip(sides, found, strict=True):
                # both grow the tables: each begins with them empty
                connection.execute("TRUNCATE user_points, user_point_logs, idempotency_keys")
                connection.execute("CHECKPOINT")
                side.run(WARM_SECONDS)
                loads.append(side.run(seconds))
    return _table(sides, found, repetitions)


def _by_hand(connection: psycopg.Connection, database_url: str, users: int) -> Callable[[float], Load]:
    def run(seconds: float) -> Load:
        before = _found(connection)
        load, made = _pgbench(connection, database_url, BY_HAND.format(users=users), seconds)
        _require(connection, before, made, is_keyed=False)
        return load

    return run


def _over_http(connection: psycopg.Connection, url: str, key: str, users: int) -> Callable[[float], Load]:
    def run(seconds: float) -> Load:
        before = _found(connection)
        script = EARN.format(key=key, run=before[0], users=users)
        load = run_wrk(f"{url}/api/points/earn", script, seconds, CONNECTIONS)
        if load.refused:
            raise AssertionError(f"{load.refused:,} earnings were refused")
        # wrk goes while its last requests are being answered
        _require(connection, before, None, is_keyed=True)
        return load

    return run


def _pgbench(connection: psycopg.Connection, url: str, script: str, seconds: float) -> tuple[Load, int]:
    """Run a script with prepared statements, by the pgbench that came with the server, else by that of the PATH."""
    program = Path(_setting(connection, "data_directory")) / "postmaster.opts"
    beside = Path(program.read_text().split()[0]).with_name("pgbench") if program.is_file() else Path("pgbench")
    parts = urlsplit(url)
    host = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])[0]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "earn.sql"
        path.write_text(script)
        load = ["-n", "-M", "prepared", "-c", str(CONNECTIONS), "-j", str(THREADS), "-T", f"{seconds:.0f}"]
        log = ["-l", "--log-prefix", str(Path(folder) / "latencies")]
        where = ["-h", host, "-U", parts.username or "postgres", parts.path.lstrip("/")]
        command = [str(beside), *load, *log, "-f", str(path), *where]
        printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        lines = [line for log_path in Path(folder).glob("latencies*") for line in log_path.read_text().splitlines()]
    latencies_ms = [int(line.split()[2]) / 1000 for line in lines]
    rate = re.search(r"^tps = ([\d.]+)", printed, re.MULTILINE)
    made = re.search(r"transactions actually processed: (\d+)", printed)
    if not rate or not made:
        raise RuntimeError(f"pgbench said:\n{printed}")
    hundredths = statistics.quantiles(latencies_ms, n=100)
    return Load(float(rate[1]), hundredths[49], hundredths[98], 0), int(made[1])


def _found(connection: psycopg.Connection) -> tuple[int, int, int]:
    rows, points, keys = connection.execute(FOUND).fetchall()[0]
    return int(rows), int(points), int(keys)


def _require(connection: psycopg.Connection, before: tuple[int, int, int], made: int | None, is_keyed: bool) -> None:
    """Raise AssertionError where a row, a point or a key is missing or too many."""
    rows, points, keys = (now - then for now, then in zip(_found(connection), before, strict=True))
    if not rows or rows != points or rows != (made or rows) or keys != (rows if is_keyed else 0):
        raise AssertionError(f"{made} transactions made {rows:,} log rows, {points:,} points and {keys:,} keys")


def _require_durable(connection: psycopg.Connection) -> None:
    for name in ("fsync", "synchronous_commit"):
        if _setting(connection, name) != "on":
            raise AssertionError(f"{name} is off: nothing would be compared that keeps what it answers")


def _setting(connection: psycopg.Connection, name: str) -> str:
    return str(connection.execute("SELECT current_setting(%s)", [name]).fetchall()[0][0])


def _key(database_url: str) -> str:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        key = create_key(connection, "server", requests_per_second=1_000_000)
    engine.dispose()
    return key


def _table(sides: list[Side], found: list[list[Load]], repetitions: int) -> Table:
    rates = [statistics.median(load.per_second for load in loads) for loads in found]
    table = Table(title=f"Earning points, {CONNECTIONS} connections, 2 workers, medians of {repetitions}")
    for heading in ("", "users", "earned per second", "of pgbench", "p50 ms", "p99 ms"):
        table.add_column(heading, justify="left" if not heading else "right")
    for number, (side, loads) in enumerate(zip(sides, found, strict=True)):
        p50, p99 = (
            statistics.median(values) for values in zip(*((one.p50_ms, one.p99_ms) for one in loads), strict=True)
        )
        share = rates[number] / rates[number - number % 2]
        table.add_row(side.name, f"{side.users:,}", f"{rates[number]:,.0f}", f"{share:.2f}", f"{p50:.1f}", f"{p99:.1f}")
    return table
