"""Real data through the public commands: the marts equal totals that other code computes from the files alone.

Skips where the data is not at hand. A web log of 206,860 lines, 1,048,575 document opens, 32,593 registrations and
95,626 events go in by `footfall import`, `footfall refresh` builds the marts, and all is imported a second time.
"""

import gzip
import os
import re
import subprocess
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from sqlalchemy import make_url

from ingest_app.privacy import read_user_agent
from tests.integration import real_data

# about two minutes on two idle cores; a busy machine takes its time
pytestmark = pytest.mark.timeout(1_200)

ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")


@dataclass(frozen=True)
class Installation:
    """A home folder and a database of footfall, with commands to call."""

    home: Path
    database_url: str

    def run(self, *arguments: str) -> str:
        """Run a command in a process of its own and return what it printed."""
        env = {**os.environ, "FOOTFALL_HOME": str(self.home), "DATABASE_URL": self.database_url, "COLUMNS": "200"}
        command = [str(Path(sys.executable).with_name("footfall")), *arguments]
        done = subprocess.run(command, env=env, cwd=self.home, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def warehouse(self, sql: str) -> list[tuple[Any, ...]]:
        """Query the warehouse, staging included."""
        return self._query("warehouse.duckdb", sql)

    def published(self, sql: str) -> list[tuple[Any, ...]]:
        """Query what analysts open."""
        return self._query("analytics.duckdb", sql)

    def _query(self, name: str, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(self.home / "warehouse" / name, read_only=True) as connection:
            return connection.execute("SET TimeZone = 'UTC'").execute(sql).fetchall()


@dataclass(frozen=True)
class Visit:
    """A line of the web log, read by splitting it at its quotes."""

    ip: str
    visit_date: date
    path: str
    agent: str


@pytest.fixture(scope="module")
def installation(
    server_url: str, shared_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """All data imported once and the marts built."""
    name = f"real_{uuid.uuid4().hex[:12]}"
    url = make_url(server_url).set(database=name).render_as_string(hide_password=False)
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
        try:
            installation = Installation(tmp_path_factory.mktemp("real"), url)
            installation.run("migrate")
            write_files(shared_data, installation.home)
            import_all(shared_data, installation)
            installation.run("refresh")
            yield installation
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def visits(shared_data: Path) -> list[Visit]:
    with gzip.open(shared_data / "weblog_airisdata_2016" / "access.log.gz", "rt", errors="replace") as log:
        return [read_visit(line.rstrip("\n")) for line in log]


def write_files(shared_data: Path, home: Path) -> None:
    real_data.write_documents(shared_data / "oulad", home / "documents.parquet")
    real_data.write_organizations(shared_data / "oulad", home / "organizations.csv")
    real_data.write_subscriptions(shared_data / "oulad", home / "subscriptions.csv")
    real_data.write_moodle_events(shared_data / "moodle_la_course", home / "events.ndjson.gz")


def import_all(shared_data: Path, installation: Installation) -> None:
    log = shared_data / "weblog_airisdata_2016" / "access.log.gz"
    installation.run("import", "weblog", str(log), "--app", "weblog")
    for name in ("documents.parquet", "organizations.csv", "subscriptions.csv", "events.ndjson.gz"):
        installation.run("import", "records", name, "--kind", name.split(".")[0])


def read_visit(line: str) -> Visit:
    # a quote within a field is \" in this log, and no field ends in a backslash
    ip_and_time, request, _, _, _, agent, _ = line.replace(r"\"", "\N{DOUBLE PRIME}").split('"')
    time = datetime.strptime(ip_and_time[ip_and_time.index("[") + 1 : -2], "%d/%b/%Y:%H:%M:%S %z")
    target = request[request.index(" ") + 1 : request.rindex(" ")]
    path = target.split("?")[0].split("#")[0].replace("\N{DOUBLE PRIME}", r"\"")
    utc_date = datetime.fromtimestamp(time.timestamp(), tz=UTC).date()
    # a log writes "-" for what was not sent, and who sends no agent is not called a bot
    return Visit(ip_and_time.split(" ")[0], utc_date, path, "" if agent == "-" else agent)


@cache
def is_bot(agent: str) -> bool:
    """The product's own word: how well it tells bots is scored elsewhere, here it is the counting that is held."""
    return read_user_agent(agent).is_bot


def test_visits_per_day_equal_the_log(installation: Installation, visits: list[Visit]) -> None:
    sql = "SELECT created_date, count(*) FROM staging.stg_tracking_events WHERE app_name = 'weblog' GROUP BY ALL"
    assert len(visits) == 206_860
    assert dict(installation.warehouse(sql)) == Counter(visit.visit_date for visit in visits)


def test_visits_per_day_and_path_without_bots_equal_the_log(installation: Installation, visits: list[Visit]) -> None:
    sql = """
        SELECT event_date, event_name, sum(event_count)::BIGINT FROM marts.rpt_event_usage_daily
        WHERE app_name = 'weblog' AND event_type = 'visit' AND user_type = 'guest' GROUP BY ALL
    """
    expected = Counter((visit.visit_date, visit.path[:100]) for visit in visits if not is_bot(visit.agent))
    assert {(day, path): count for day, path, count in installation.published(sql)} == expected


def test_bot_traffic_per_day_equals_the_log(installation: Installation, visits: list[Visit]) -> None:
    sql = "SELECT event_date, event_count FROM marts.rpt_bot_traffic_daily WHERE app_name = 'weblog'"
    expected = Counter(visit.visit_date for visit in visits if is_bot(visit.agent))
    assert dict(installation.published(sql)) == expected


def test_visitors_equal_the_people_in_the_log(installation: Installation, visits: list[Visit]) -> None:
    expected = len({(visit.ip, visit.agent) for visit in visits if not is_bot(visit.agent)})
    assert installation.warehouse("SELECT count(*) FROM staging.stg_visitor_sessions") == [(expected,)]


def test_no_address_of_the_log_is_in_any_table(installation: Installation, visits: list[Visit]) -> None:
    addresses = {visit.ip for visit in visits}
    assert len(addresses) == 8_799
    with psycopg.connect(installation.database_url) as connection:
        columns = connection.execute("""
            SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables
                USING (table_schema, table_name)
            WHERE table_schema = 'public' AND data_type IN ('text', 'character varying', 'character', 'jsonb')
                AND table_type = 'BASE TABLE' AND table_name !~ '_p[0-9]{8}$'
        """).fetchall()
        assert ("tracking_events", "meta") in columns
        for table, column in columns:
            sql = f'SELECT DISTINCT "{column}"::text FROM "{table}" WHERE "{column}"::text LIKE \'%.%.%.%\''
            texts = (text for (text,) in connection.execute(sql))
            assert not [found for text in texts for found in ADDRESS.findall(text) if found in addresses], table


def test_moodle_events_per_day_and_name_equal_the_file(installation: Installation, shared_data: Path) -> None:
    expected = duckdb.execute(
        """
        SELECT timecreated::DATE, "Event.name", count(*)
        FROM read_csv(?, all_varchar = true) GROUP BY ALL ORDER BY ALL
        """,
        [str(shared_data / "moodle_la_course" / "events.csv.gz")],
    ).fetchall()
    sql = """
        SELECT event_date, event_name, sum(event_count)::BIGINT FROM marts.rpt_event_usage_daily
        WHERE app_name = 'moodle' AND user_type = 'student' GROUP BY ALL ORDER BY ALL
    """
    assert sum(count for *_, count in expected) == 95_626
    assert installation.published(sql) == expected


OULAD_OPENS = """
    WITH starts (code_presentation, start_date) AS (VALUES
        ('2013B', DATE '2013-02-01'), ('2013J', DATE '2013-10-01'), ('2014J', DATE '2014-10-01'))
    SELECT code_module, code_presentation, id_site::VARCHAR, id_student, start_date + "date"::INTEGER AS open_date
    FROM read_csv(?, delim = '\t') JOIN starts USING (code_presentation)
"""


def test_opens_per_document_equal_the_file(installation: Installation, shared_data: Path) -> None:
    expected = duckdb.execute(
        f"""
        SELECT 'oulad', * EXCLUDE (id_student, open_date), count(*), count(DISTINCT id_student),
            min(open_date), max(open_date)
        FROM ({OULAD_OPENS}) GROUP BY ALL ORDER BY ALL
        """,
        [str(shared_data / "oulad" / "studentVle.tsv.gz")],
    ).fetchall()
    sql = """
        SELECT app_name, level_name, chapter_name, document_name, open_count, user_count,
            first_opened_at::DATE, last_opened_at::DATE
        FROM marts.rpt_document_opens ORDER BY ALL
    """
    assert len(expected) == 1_029
    assert sum(row[4] for row in expected) == 1_048_575
    assert installation.published(sql) == expected


def test_opens_per_day_equal_the_file(installation: Installation, shared_data: Path) -> None:
    expected = duckdb.execute(
        f"SELECT * EXCLUDE (id_student), count(*) FROM ({OULAD_OPENS}) GROUP BY ALL ORDER BY ALL",
        [str(shared_data / "oulad" / "studentVle.tsv.gz")],
    ).fetchall()
    sql = """
        SELECT level_name, chapter_name, document_name, open_date, sum(open_count)::BIGINT
        FROM marts.rpt_document_opens_daily GROUP BY ALL ORDER BY ALL
    """
    assert installation.published(sql) == expected


def test_subscriptions_per_plan_and_status_equal_the_file(installation: Installation, shared_data: Path) -> None:
    expected = duckdb.execute(
        """
        SELECT code_module, CASE WHEN date_unregistration <> '' THEN 'cancelled'
            WHEN code_presentation = '2014J' THEN 'active' ELSE 'expired' END, count(*), count(DISTINCT id_student)
        FROM read_csv(?, all_varchar = true, nullstr = 'none') GROUP BY ALL ORDER BY ALL
        """,
        [str(shared_data / "oulad" / "studentRegistration.csv")],
    ).fetchall()
    sql = """
        SELECT plan, status, count(*), count(DISTINCT organization_id)
        FROM staging.stg_subscriptions GROUP BY ALL ORDER BY ALL
    """
    assert sum(row[2] for row in expected) == 32_593
    assert installation.warehouse(sql) == expected
    plans = dict(installation.published("SELECT plan, subscription_count FROM marts.rpt_plan_distribution"))
    assert plans == {plan: count for plan, status, count, _ in expected if status == "active"}


# the last test of the module: it imports all a second time
def test_importing_again_changes_nothing(installation: Installation, shared_data: Path) -> None:
    tables = ("tracking_events", "tracking_documents", "visitor_sessions", "organizations", "subscriptions")

    def state() -> list[object]:
        with psycopg.connect(installation.database_url) as connection:
            sql = "SELECT count(*), max(xid::text::bigint) FROM {}"
            return [connection.execute(sql.format(table)).fetchone() for table in tables]

    before = state()
    with gzip.open(shared_data / "weblog_airisdata_2016" / "access.log.gz") as log:
        (installation.home / "beginning.log").write_bytes(b"".join(islice(log, 20_000)))
    installation.run("import", "weblog", "beginning.log", "--app", "weblog")
    for name in ("organizations.csv", "subscriptions.csv", "events.ndjson.gz"):
        installation.run("import", "records", name, "--kind", name.split(".")[0])
    assert state() == before
