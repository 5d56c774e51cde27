"""Rows whose person is hard to tell: ids in capital letters or as texts, links, sessions that many share."""

import json
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import duckdb
import psycopg
import pytest

from footfall.erasing import Outcome, erase, look
from footfall.exporting import export
from tests.integration.archive.sealing import DAY
from tests.integration.people.conftest import Copy, settings_of
from tests.integration.people.persons import GONE, STAYING_ACCOUNT, SUBJECT, Place
from tests.integration.people.removing import remove_person
from warehouse.people.matching import NOBODYS
from warehouse.people.search import Found
from warehouse.people.subject import Subject

ACCOUNT = UUID("abcdef00-0000-4000-8000-00000000abcd")
RECORD = {"id": 9, "name": "nine", "user_type": "student", "account_id": str(STAYING_ACCOUNT)}
ODD = f"""
    UPDATE users SET account_id = '{ACCOUNT}' WHERE id = {GONE};
    INSERT INTO tracking_events (user_type, app_name, event_type, event_name, meta)
        VALUES ('guest', 'DViz', 'button', 'open', '{{"account_id": "{str(ACCOUNT).upper()}"}}');
    INSERT INTO tracking_events (user_id, user_type, app_name, event_type, event_name, session_id)
        VALUES ({GONE}, 'student', 'DViz', 'button', 'open', 'guest');
    INSERT INTO tracking_events (user_type, app_name, event_type, event_name, session_id, ip_hash)
        SELECT 'guest', 'DViz', 'visit', 'open', 'guest', repeat(n::text, 64) FROM generate_series(1, 3) AS n;
    UPDATE user_point_logs
        SET related_event = CASE WHEN rule_id IS NULL THEN 'signup of name-{GONE}' ELSE 'press' END
        WHERE user_id = {GONE};
    INSERT INTO users (id, name, user_type, account_id) VALUES (9, 'nine', 'student', '{STAYING_ACCOUNT}');
    INSERT INTO rejected_records (kind, reason, body) VALUES ('users', 'a trigger', '{json.dumps(RECORD)}');
    CREATE TABLE notes AS SELECT '{GONE}'::text AS user_id;
    ANALYZE tracking_events
"""
# of a day that is sealed already
LATE = f"""
    INSERT INTO tracking_events (user_id, user_type, app_name, event_type, event_name, received_at)
        VALUES ({GONE}, 'student', 'DViz', 'button', 'open', '{DAY} 05:00Z')
"""


@pytest.fixture(scope="module")
def odd(copy: Copy, tmp_path_factory: pytest.TempPathFactory) -> Place:
    place = copy(tmp_path_factory.mktemp("odd") / "home")
    with psycopg.connect(place.home.database_url, autocommit=True) as database:
        database.execute(ODD.encode())
    with duckdb.connect(str(place.home.warehouse_path)) as warehouse:
        warehouse.execute(f"CREATE SCHEMA mine; CREATE TABLE mine.favourites AS SELECT '{ACCOUNT}' AS account_id")
    return place


@pytest.fixture(scope="module")
def looked(odd: Place) -> list[Found]:
    return look(settings_of(odd), odd.home.database_url, SUBJECT)[1]


@pytest.fixture(scope="module")
def erased(odd: Place, looked: list[Found]) -> Outcome:
    with psycopg.connect(odd.home.database_url, autocommit=True) as database:
        database.execute("DROP TABLE notes")
    with duckdb.connect(str(odd.home.warehouse_path)) as warehouse:
        warehouse.execute("DROP SCHEMA mine CASCADE")
    outcome = run_erase(odd, SUBJECT)
    assert outcome.certificate, outcome.found
    return outcome


@pytest.fixture
def database(odd: Place) -> Iterator[psycopg.Connection]:
    with psycopg.connect(odd.home.database_url, autocommit=True) as connection:
        yield connection


def run_erase(place: Place, subject: Subject) -> Outcome:
    return erase(settings_of(place), place.home.database_url, subject, lambda: None, reason="asked", actor="a test")


def test_ids_as_texts_are_found(looked: list[Found]) -> None:
    assert {"public.notes", "mine.favourites"} <= {one.place for one in looked}


def test_rows_of_nobody_are_counted_apart(looked: list[Found], erased: Outcome) -> None:
    assert [(one.store, one.count) for one in looked if one.place == NOBODYS] == [
        ("Postgres", 4),
        ("warehouse.duckdb and archive", 3),
    ]
    # one more waited in the spool
    assert erased.certificate["rows"]["Postgres"][NOBODYS] == 5


def test_id_in_capital_letters_goes(database: psycopg.Connection, erased: Outcome) -> None:
    query = "SELECT count(*) FROM tracking_events WHERE meta::text ~* %s"
    assert database.execute(query, [str(ACCOUNT)]).fetchone() == (0,)


def test_session_of_many_addresses_is_nobodys(database: psycopg.Connection, erased: Outcome) -> None:
    rows = database.execute("SELECT user_id, count(*) FROM tracking_events WHERE session_id = 'guest' GROUP BY 1")
    assert rows.fetchall() == [(None, 3)]


def test_words_of_an_app_leave_the_log(database: psycopg.Connection, erased: Outcome) -> None:
    query = "SELECT rule_id, related_event FROM user_point_logs WHERE user_id < 0 ORDER BY rule_id NULLS LAST"
    assert database.execute(query).fetchall() == [(1, "press"), (None, None), (None, None)]


def test_planner_knows_no_id_any_more(database: psycopg.Connection, erased: Outcome) -> None:
    query = "SELECT tablename FROM pg_stats WHERE concat(most_common_vals, histogram_bounds) ~ %s"
    assert database.execute(query, [str(GONE)]).fetchall() == []


def test_record_that_links_to_the_account_stays(odd: Place, erased: Outcome, tmp_path: Path) -> None:
    account = Subject("account", str(STAYING_ACCOUNT))
    export(settings_of(odd), odd.home.database_url, account, tmp_path / "account.json", print)
    assert "nine" not in (tmp_path / "account.json").read_text()
    with psycopg.connect(odd.home.database_url, autocommit=True) as database:
        # as after an older dump was put back: numbers come again
        database.execute("TRUNCATE erasures RESTART IDENTITY")
        again = run_erase(odd, account)
        bodies = database.execute("SELECT body::text FROM rejected_records WHERE kind = 'users'").fetchall()
    assert [json.loads(body) for (body,) in bodies] == [RECORD]
    assert again.certificate["erasure"] == erased.certificate["erasure"]
    both = [{file["path"] for file in one.certificate["rewritten"]} for one in (again, erased)]
    assert all(both)
    assert both[0].isdisjoint(both[1])


def test_late_rows_of_sealed_days_are_counted_as_erased(copy: Copy, tmp_path: Path) -> None:
    home = copy(tmp_path / "home").home
    with psycopg.connect(home.database_url, autocommit=True) as database:
        database.execute(LATE.encode())
        # in full, for a copied database is another one
        home.load(full=True)
        remove_person(home)
        [(count,)] = database.execute(f"SELECT erased_count FROM intake_counts WHERE received_hour = '{DAY}Z'".encode())
    assert count == 1
