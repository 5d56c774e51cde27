"""Kill switches and settings: what may be set, and what each change leaves behind in Postgres."""

import threading
from collections.abc import Iterator

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection

from ingest_app.admin_settings import RULES, check, read_settings, set_setting
from ingest_app.database import make_engine
from ingest_app.errors import SettingRefused, SettingValueRefused, UnknownSetting

AUDIT = "SELECT actor, action, subject, detail FROM admin_audit_log ORDER BY id"


@pytest.fixture
def connection(database_url: str) -> Iterator[Connection]:
    engine = make_engine(database_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def stored(database: psycopg.Connection, key: str) -> str | None:
    row = database.execute("SELECT setting_value FROM admin_settings WHERE setting_key = %s", [key]).fetchone()
    return row[0] if row else None


def test_new_database_has_the_defaults(connection: Connection) -> None:
    assert read_settings(connection) == {key: str(rule.default) for key, rule in RULES.items()}


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [
        ("tracking_enabled", 0, 1),
        ("points_enabled", 0, 1),
        ("live_session_timeout_minutes", 1, 1_440),
        ("archive_after_days", 30, 36_500),
        ("points_per_credit", 1, 1_000_000),
    ],
)
def test_value_is_allowed_from_least_to_most(key: str, least: int, most: int) -> None:
    for value in (least, most):
        check(key, str(value))
    for value in (least - 1, most + 1):
        with pytest.raises(SettingValueRefused, match=key):
            check(key, str(value))


def test_every_setting_has_a_rule_that_its_default_keeps() -> None:
    assert [key for key, rule in RULES.items() if not rule.allows(str(rule.default))] == []


@pytest.mark.parametrize(
    "value",
    ["", " 5", "5 ", "5\n", "05", "+5", "5.0", "5e0", "5_0", "\N{ARABIC-INDIC DIGIT FIVE}", "true", "on", "9" * 5000],
)
def test_only_plain_whole_numbers_are_allowed(value: str) -> None:
    assert [key for key, rule in RULES.items() if rule.allows(value)] == []


@given(key=st.sampled_from(sorted(RULES)), value=st.from_regex(r"\A[+-]?\d{1,5}\Z"))
def test_each_number_can_be_written_one_way(key: str, value: str) -> None:
    rule = RULES[key]
    assert rule.allows(value) == (value == str(int(value)) and rule.least <= int(value) <= rule.most)


@pytest.mark.parametrize("key", ["", "tracking", "TRACKING_ENABLED", "tracking_enabled ", "a\nb", "{x}"])
def test_unknown_key_names_the_known_ones(key: str) -> None:
    with pytest.raises(UnknownSetting) as refused:
        check(key, "1")
    assert all(known in str(refused.value) for known in RULES)
    assert "\n" not in str(refused.value)


def test_change_is_stored_with_an_audit_row(connection: Connection, database: psycopg.Connection) -> None:
    with connection.begin():
        assert set_setting(connection, "tracking_enabled", "0", "cli:ada") == "1"
    assert stored(database, "tracking_enabled") == "0"
    change = {"old": "1", "new": "0"}
    assert database.execute(AUDIT).fetchall() == [("cli:ada", "settings.set", "tracking_enabled", change)]


def test_same_value_again_leaves_no_audit_row(connection: Connection, database: psycopg.Connection) -> None:
    before = database.execute("SELECT xid FROM admin_settings ORDER BY setting_key").fetchall()
    with connection.begin():
        assert set_setting(connection, "archive_after_days", "90", "cli:ada") == "90"
    assert database.execute(AUDIT).fetchall() == []
    assert database.execute("SELECT xid FROM admin_settings ORDER BY setting_key").fetchall() == before


def test_deleted_or_broken_setting_can_be_set(connection: Connection, database: psycopg.Connection) -> None:
    database.execute("DELETE FROM admin_settings WHERE setting_key = 'points_enabled'")
    database.execute("UPDATE admin_settings SET setting_value = 'soon' WHERE setting_key = 'archive_after_days'")
    with connection.begin():
        assert set_setting(connection, "points_enabled", "1", "cli:ada") is None
        assert set_setting(connection, "archive_after_days", "180", "cli:ada") == "soon"
    assert (stored(database, "points_enabled"), stored(database, "archive_after_days")) == ("1", "180")
    details = [row[3] for row in database.execute(AUDIT)]
    assert details == [{"old": None, "new": "1"}, {"old": "soon", "new": "180"}]


@pytest.mark.parametrize(("key", "value"), [("points_enabled", "2"), ("tracking_enable", "0")])
def test_refused_change_writes_nothing(
    connection: Connection, database: psycopg.Connection, key: str, value: str
) -> None:
    before = database.execute("SELECT * FROM admin_settings ORDER BY setting_key").fetchall()
    with connection.begin(), pytest.raises(SettingRefused):
        set_setting(connection, key, value, "cli:ada")
    assert database.execute("SELECT * FROM admin_settings ORDER BY setting_key").fetchall() == before
    assert database.execute(AUDIT).fetchall() == []


def test_change_and_audit_row_go_together(connection: Connection, database: psycopg.Connection) -> None:
    database.execute("ALTER TABLE admin_audit_log ADD CHECK (actor <> 'cli:nobody')")
    with pytest.raises(Exception, match="admin_audit_log"), connection.begin():
        set_setting(connection, "tracking_enabled", "0", "cli:nobody")
    assert stored(database, "tracking_enabled") == "1"


def test_two_changes_at_once_form_one_chain(
    connection: Connection, database_url: str, database: psycopg.Connection
) -> None:
    other = threading.Thread(target=_set_in_a_session_of_its_own, args=(database_url, "180"))
    with connection.begin():
        set_setting(connection, "archive_after_days", "60", "cli:first")
        other.start()
        _wait_until_blocked(database, other)
    other.join()
    assert [row[3] for row in database.execute(AUDIT)] == [{"old": "90", "new": "60"}, {"old": "60", "new": "180"}]


def _set_in_a_session_of_its_own(database_url: str, value: str) -> None:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        set_setting(connection, "archive_after_days", value, "cli:second")
    engine.dispose()


def _wait_until_blocked(database: psycopg.Connection, thread: threading.Thread) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    while database.execute(waiting).fetchone() == (0,):
        assert thread.is_alive()
