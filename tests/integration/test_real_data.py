"""Real data through the public commands: the marts equal totals that other code computes from the files alone.

Skips where the data is not at hand. A web log of 206,860 lines, 1,048,575 document opens, 32,593 registrations,
95,626 events of a course and six months of a question site go in by `footfall import`, `footfall refresh` builds the
marts, which equal the seeds' own SQL on Postgres too, and a part of all is imported a second time.
"""

import gzip
import re
import shutil
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cache
from itertools import islice
from pathlib import Path

import duckdb
import psycopg
import pytest
from sqlalchemy import make_url

from ingest_app.privacy import read_user_agent
from pipelines.dbt_project import parse
from tests.integration import real_data
from tests.integration.installation import Installation
from tests.sql.conftest import Models, Rows
from tests.sql.seed_sql import ORACLE, seed_rows
from tests.sql.views import make_views

# about two minutes on two idle cores; a busy machine takes its time
pytestmark = pytest.mark.timeout(1_200)

# what nobody does today; of live users it is looked at as of then
EMPTY_TODAY = {"rpt_live_users", "rpt_ledger_drift"}
ADDRESS = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])")


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
            with psycopg.connect(url) as database:
                database.execute(real_data.OF_NOW)
            installation.run("refresh")
            yield installation
        finally:
            connection.execute(f'DROP DATABASE "{name}" WITH (FORCE)')


@pytest.fixture(scope="module")
def visits(shared_data: Path) -> list[Visit]:
    with gzip.open(shared_data / "weblog_airisdata_2016" / "access.log.gz", "rt", errors="replace") as log:
        return [read_visit(line.rstrip("\n")) for line in log]


@pytest.fixture(scope="module")
def models(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Models:
    """The raw tables in a home of their own, and nothing made of them."""
    models = Models(tmp_path_factory.mktemp("then"), parse(installation.home / "dbt").for_dbt())
    models.warehouse_path.parent.mkdir()
    shutil.copy(installation.warehouse_path, models.warehouse_path)
    return models


def write_files(shared_data: Path, home: Path) -> None:
    real_data.write_documents(shared_data / "oulad", home / "documents.parquet")
    real_data.write_organizations(shared_data / "oulad", home / "organizations.csv")
    real_data.write_subscriptions(shared_data / "oulad", home / "subscriptions.csv")
    real_data.write_moodle_events(shared_data / "moodle_la_course", home / "events.ndjson.gz")
    real_data.write_users(shared_data / "oulad", home / "users.csv")
    real_data.write_accounts(shared_data, home / "accounts.csv")
    real_data.write_activity(shared_data / "stackexchange_quantum_2018", home / "activity.csv")


def import_all(shared_data: Path, installation: Installation) -> None:
    log = shared_data / "weblog_airisdata_2016" / "access.log.gz"
    installation.run("import", "weblog", str(log), "--app", "weblog")
    state = ("organizations.csv", "subscriptions.csv", "accounts.csv", "users.csv")
    for name in ("documents.parquet", "events.ndjson.gz", "activity.csv", *state):
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


@pytest.mark.parametrize("mart", sorted(ORACLE))
def test_published_mart_equals_seed_sql(installation: Installation, mart: str) -> None:
    [(as_of,)] = installation.published("SELECT refreshed_at FROM marts.rpt_totals")
    found = installation.published(f"FROM marts.{mart}")
    assert found or mart in EMPTY_TODAY
    assert difference(found, wanted(installation, mart, "UTC", as_of)) == ([], [])


@pytest.mark.parametrize(
    ("timezone", "as_of", "busy"),
    [
        # the clocks of London go forward, while the web log runs
        ("Europe/London", "2016-03-27T12:00:00Z", "SELECT visitors_now < visitors_today FROM marts.rpt_totals"),
        # a minute after somebody was last on the question site
        ("America/New_York", "2018-09-02T02:52:30Z", "SELECT active_users_now > 0 FROM marts.rpt_totals"),
        # the last minutes of the course, on a day of 25 hours
        ("Europe/Berlin", "2019-10-27T19:30:00Z", "SELECT sum(live_user_count) > 0 FROM marts.rpt_live_users"),
    ],
    ids=["web log", "question site", "course"],
)
def test_marts_of_then_equal_seed_sql(
    installation: Installation, models: Models, timezone: str, as_of: str, busy: str
) -> None:
    make_views(models, timezone, as_of)
    assert models.rows(busy) == [(True,)]
    # what neither the moment nor the zone changes is compared above; days, in one zone
    asked = ("%(as_of)s", "%(timezone)s") if timezone == "Europe/London" else ("%(as_of)s",)
    marts = [mart for mart, sql in ORACLE.items() if any(name in sql for name in asked)]
    moment = datetime.fromisoformat(as_of)
    gaps = {
        mart: difference(models.rows(f"FROM marts.{mart}"), wanted(installation, mart, timezone, moment))
        for mart in marts
    }
    assert gaps == dict.fromkeys(marts, ([], []))


def wanted(installation: Installation, mart: str, timezone: str, as_of: datetime) -> Rows:
    with psycopg.connect(installation.database_url) as database:
        database.execute("SET TimeZone = 'UTC'")
        return seed_rows(database, mart, timezone, as_of)


def difference(found: Rows, expected: Rows) -> tuple[Rows, Rows]:
    """Name some rows that are only here and only there: a table may have hundreds of thousands."""
    here, there = Counter(found), Counter(expected)
    return [*(here - there)][:3], [*(there - here)][:3]


# the last test of the module: it imports a part a second time
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
