"""One person of two is erased from a home that has both in every store; tests of one module look at what is left."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import duckdb
import psycopg
import pytest

from footfall.doctor import _erasures
from footfall.erasing import Outcome, empty_spools, erase, find_in_spools, look
from ingest_app.database import make_engine
from tests.integration.people.conftest import settings_of
from tests.integration.people.persons import EVENT_TABLES, GONE, GONE_ACCOUNT, STAYING_ACCOUNT, STAYS, SUBJECT, Place
from tests.integration.people.removing import State, state_of
from tests.integration.spools import a_part, a_spool, an_event
from warehouse.archive.manifest import known_files
from warehouse.archive.store import open_archive
from warehouse.archive.verify import verify_files
from warehouse.errors import ErasureUnfinished
from warehouse.load import load
from warehouse.people.erasures import alone
from warehouse.people.errors import ErasureUnderWay, OtherErasureUnfinished
from warehouse.people.subject import Subject


@pytest.fixture(scope="module")
def before(own_place: Place) -> State:
    engine = make_engine(own_place.home.database_url)
    empty_spools(engine, own_place.spool)
    engine.dispose()
    own_place.home.load()
    return state_of(own_place.home)


@pytest.fixture(scope="module")
def erased(own_place: Place, before: State) -> Outcome:
    return run_erase(own_place)


def run_erase(place: Place, subject: Subject = SUBJECT) -> Outcome:
    home = place.home
    return erase(settings_of(place), home.database_url, subject, home.load, reason="asked", actor="a test")


def names_the_gone(row: str) -> bool:
    return any(text in row for text in (str(GONE), str(GONE_ACCOUNT)))


def test_every_row_of_the_other_person_stays(own_place: Place, before: State, erased: Outcome) -> None:
    after = state_of(own_place.home)
    ledger = ("points", "credits", "point_logs", "credit_logs", "audit_log")
    for table, rows in before.items():
        if not table.endswith(ledger):
            kept = [row for row in rows if not names_the_gone(row)]
            assert after[table] == kept, table


def test_no_store_names_the_person(own_place: Place, erased: Outcome) -> None:
    assert erased.certificate
    assert [row for rows in state_of(own_place.home).values() for row in rows if names_the_gone(row)] == []
    held = look(settings_of(own_place), own_place.home.database_url, SUBJECT)[1]
    assert held == []
    files = [own_place.home.warehouse_path, *own_place.archive.rglob("*.parquet*"), *own_place.spool.glob("*.spool*")]
    assert len(files) > 6
    assert [path for path in files if f"name-{GONE}".encode() in path.read_bytes()] == []


def test_rows_of_open_days_are_counted_as_erased(own_place: Place, before: State, erased: Outcome) -> None:
    after = state_of(own_place.home)
    with duckdb.connect(str(own_place.home.warehouse_path), read_only=True) as warehouse:
        sealed_days = {(file.table_name, file.received_date) for file in known_files(warehouse)}
    gone = Counter(
        (table, json.loads(row)["received_at"][:10])
        for table in EVENT_TABLES
        for row in (Counter(before[table]) - Counter(after[table])).elements()
    )
    assert sealed_days & gone.keys()
    with psycopg.connect(own_place.home.database_url) as database:
        query = """
            SELECT table_name, (received_hour AT TIME ZONE 'UTC')::date::text, erased_count
            FROM intake_counts WHERE erased_count > 0
        """
        found = {(table, day): count for table, day, count in database.execute(query)}
    assert found == {key: count for key, count in gone.items() if key not in sealed_days}
    assert found


def test_ledger_keeps_its_sums_under_a_pseudonym(own_place: Place, before: State, erased: Outcome) -> None:
    with psycopg.connect(own_place.home.database_url) as database:
        rows = database.execute("SELECT user_id, points FROM user_points ORDER BY user_id").fetchall()
        assert [points for _, points in rows] == [30, 30]
        assert rows[0][0] < 0
        logs = database.execute("SELECT DISTINCT reason, event_id FROM user_point_logs WHERE user_id < 0").fetchall()
        assert sorted(map(str, logs)) == ["('erased', None)", "(None, None)"]
        audit = database.execute("SELECT subject, detail FROM admin_audit_log WHERE action = 'ledger.mend'").fetchall()
        assert (f"points of user {rows[0][0]}", {"user_id": rows[0][0], "old": 1}) in audit
    raw = own_place.home.ask("SELECT user_id, points FROM raw.user_points ORDER BY user_id")
    assert raw == rows


def test_both_sides_are_still_equal(own_place: Place, erased: Outcome) -> None:
    load(own_place.home.database_url, own_place.home.warehouse_path, compare_keys=True)
    archive = open_archive(None, own_place.home.warehouse_path)
    assert [finding for finding in verify_files(archive) if finding.fault] == []


def test_certificate_counts_rows_and_names_nobody(own_place: Place, erased: Outcome) -> None:
    counts = erased.certificate["rows"]
    assert counts["Postgres"]["tracking_events"] == 22
    assert counts["Postgres"]["rejected_records"] == 3
    assert len(erased.certificate["rewritten"]) == 6
    assert sum(file["removed_row_count"] for file in erased.certificate["rewritten"]) == 16
    with psycopg.connect(own_place.home.database_url) as database:
        [(kept, *names)] = database.execute("SELECT certificate, subject, person FROM erasures").fetchall()
    assert kept == json.loads(json.dumps(erased.certificate))
    assert names == [None, None]
    assert not names_the_gone(json.dumps(kept))


def test_second_erasure_finds_nothing_held(own_place: Place, erased: Outcome) -> None:
    again = run_erase(own_place)
    assert not again.found
    assert not again.certificate
    assert run_erase(own_place, Subject("user", "31")).certificate == {}
    with psycopg.connect(own_place.home.database_url) as database:
        assert database.execute("SELECT count(*) FROM erasures").fetchone() == (1,)


def test_row_that_comes_in_during_the_refresh_is_found(own_place: Place, erased: Outcome) -> None:
    home, late = own_place.home, Subject("user", "90909")
    insert = "INSERT INTO tracking_documents (user_id, user_type, level_name, chapter_name, document_name)"
    insert += " VALUES (90909, 'student', 'A1', 'Greetings', 'Hello')"
    with psycopg.connect(home.database_url, autocommit=True) as database:
        database.execute(insert)
        outcome = erase(
            settings_of(own_place),
            home.database_url,
            late,
            lambda: database.execute(insert),
            reason="asked",
            actor="a test",
        )
        assert [(one.store, one.place, one.count) for one in outcome.found] == [
            ("Postgres", "public.tracking_documents", 1)
        ]
        engine = make_engine(home.database_url)
        with engine.connect() as connection:
            assert not _erasures(connection).is_well
        engine.dispose()
        assert run_erase(own_place, late).certificate["rows"]["Postgres"]["tracking_documents"] == 2


def test_row_in_a_table_of_ones_own_is_found(own_place: Place, erased: Outcome) -> None:
    with duckdb.connect(str(own_place.home.warehouse_path)) as warehouse:
        warehouse.execute("CREATE SCHEMA mine; CREATE TABLE mine.favourites AS SELECT 424242 AS user_id")
    outcome = run_erase(own_place)
    assert [str(one) for one in outcome.found] == ["warehouse.duckdb: 1 in mine.favourites"]
    with duckdb.connect(str(own_place.home.warehouse_path)) as warehouse:
        warehouse.execute("DROP SCHEMA mine CASCADE")
    with psycopg.connect(own_place.home.database_url, autocommit=True) as database:
        database.execute("DELETE FROM erasures WHERE finished_at IS NULL")


def test_text_of_others_is_told_and_left(own_place: Place, erased: Outcome) -> None:
    meta = json.dumps({"invited": {"user_id": 5}})
    with psycopg.connect(own_place.home.database_url, autocommit=True) as database:
        database.execute("INSERT INTO users (id, user_type) VALUES (5, 'student')")
        outcome = run_erase(own_place, Subject("user", "5"))
    told = [one["what"] for one in outcome.certificate["stays"]]
    assert any("of public.tracking_events (Postgres)" in one for one in told), meta


def test_account_of_several_users_goes_alone(own_place: Place, erased: Outcome) -> None:
    with psycopg.connect(own_place.home.database_url, autocommit=True) as database:
        database.execute(
            "INSERT INTO users (id, user_type, account_id) VALUES (6, 'student', %s)", [str(STAYING_ACCOUNT)]
        )
        outcome = run_erase(own_place, Subject("account", str(STAYING_ACCOUNT)))
        assert outcome.certificate
        rows = database.execute("SELECT id, account_id FROM users WHERE id IN (6, %s) ORDER BY id", [STAYS]).fetchall()
    assert rows == [(6, None), (STAYS, None)]


def test_loads_and_seals_wait_for_a_half_done_one(own_place: Place, erased: Outcome) -> None:
    home = own_place.home
    with psycopg.connect(home.database_url, autocommit=True) as database:
        database.execute(
            "INSERT INTO erasures (subject_kind, subject, pseudonym, actor) VALUES ('user', '31', -9, 'a test')"
        )
        with pytest.raises(ErasureUnfinished, match="run `footfall erase --user 31` again"):
            load(home.database_url, home.warehouse_path)
        with pytest.raises(ErasureUnfinished):
            home.seal()
        with pytest.raises(OtherErasureUnfinished, match="--user 31"):
            run_erase(own_place)
        database.execute("DELETE FROM erasures WHERE subject = '31'")


def test_two_erasures_at_once_are_refused(own_place: Place, erased: Outcome) -> None:
    with alone(own_place.home.database_url), pytest.raises(ErasureUnderWay):
        run_erase(own_place)


def test_spools_that_stay_are_named(own_place: Place, erased: Outcome, tmp_path: Path) -> None:
    engine = make_engine(own_place.home.database_url)
    damaged = a_spool(tmp_path, a_part(an_event(user_id=GONE)))
    damaged = damaged.rename(damaged.with_suffix(".damaged"))
    assert empty_spools(engine, tmp_path) == [damaged.name]
    engine.dispose()
    person = replace(erased.person)
    assert [str(one) for one in find_in_spools(tmp_path, person)] == [f"spool: 1 in {damaged.name}"]
