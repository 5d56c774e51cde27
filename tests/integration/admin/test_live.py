"""What is so now: counted as the seeds count it, and kept while Postgres is away."""

import time

import psycopg
import pytest

from admin_app import live
from admin_app.app import create_app
from admin_app.errors import PostgresAway
from admin_app.live import LiveGroup, LiveValues
from tests.integration.admin.conftest import Admin
from tests.integration.controlling import new_key, postgres_away, switch, wait_until

SEEN = (4, 6, 11)
MINUTES_AGO = "now() - make_interval(mins => %s)"


@pytest.mark.parametrize(("timeout", "count"), [("5", 1), ("10", 2), ("written past the rule", 1)])
def test_now_is_within_the_window_that_is_set(
    admin: Admin, database: psycopg.Connection, timeout: str, count: int
) -> None:
    _people(database)
    set_timeout = "UPDATE admin_settings SET setting_value = %s WHERE setting_key = 'live_session_timeout_minutes'"
    database.execute(set_timeout, [timeout])
    admin.refresh_live()
    found = _latest(admin)
    assert (found.active_users_now, found.visitors_now) == (count, count)
    assert found.live_users == (LiveGroup("DViz", "DE", "student", count), LiveGroup("DViz", None, "teacher", count))


def test_user_with_two_sessions_is_live_once(admin: Admin, database: psycopg.Connection) -> None:
    for session in ("one", "other"):
        database.execute(
            "INSERT INTO tracking_live_sessions (session_id, user_id, user_type, app_name, last_heartbeat)"
            " VALUES (%s, 7, 'student', 'DViz', now())",
            [session],
        )
    admin.refresh_live()
    assert _latest(admin).live_users == (LiveGroup("DViz", None, "student", 1),)


def test_times_without_tracking_are_known(admin: Admin, database: psycopg.Connection, database_url: str) -> None:
    for value in ("0", "1", "0"):
        switch(database_url, value)
    audited = "SELECT created_at FROM admin_audit_log WHERE subject = 'tracking_enabled' ORDER BY id"
    off, on, off_again = (at for (at,) in database.execute(audited).fetchall())
    admin.refresh_live()
    assert [(span.begin, span.end) for span in _latest(admin).tracking_off] == [(off, on), (off_again, None)]


def test_last_known_stays_while_postgres_is_away(
    admin: Admin, database: psycopg.Connection, server_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    admin.sign_in()
    before = _latest(admin)
    with postgres_away(server_url, database):
        admin.refresh_live()
        monkeypatch.setattr(live, "STALE_SECONDS", 0.0)
        assert admin.sources.live.is_stale
        assert _latest(admin).as_of >= before.as_of
        assert admin.client.get("/sign-in").headers["Location"] == "/", "who is signed in stays so"
        refused = admin.get("/api/settings")
        assert (refused.status_code, refused.json["error"]["code"]) == (503, "database_unavailable")  # type: ignore[index]
        monkeypatch.undo()
    wait_until(lambda: not admin.sources.live.is_stale and admin.get("/api/settings").status_code == 200, "Postgres")


def test_start_without_postgres_knows_keys_by_the_note(
    admin: Admin, database: psycopg.Connection, server_url: str
) -> None:
    note = admin.settings.cache_folder / "keys.json"
    assert note.stat().st_mode & 0o777 == 0o600
    assert not any(key in note.read_text() for key in admin.keys.values())
    with postgres_away(server_url, database):
        app = create_app(admin.settings)
        try:
            assert Admin(app, app.test_client(), admin.keys, admin.settings).sign_in()
            with pytest.raises(PostgresAway):
                _ = app.extensions["footfall"].engine
        finally:
            app.extensions["footfall"].close()


@pytest.mark.parametrize("note", [None, b"", b"{", b"[]", b'{"x": 5}'])
def test_nobody_is_let_in_where_no_key_is_known(admin_away: Admin, note: bytes | None) -> None:
    path = admin_away.settings.cache_folder / "keys.json"
    path.unlink()
    if note is not None:
        path.write_bytes(note)
    app = create_app(admin_away.settings)
    try:
        asked = app.test_client().get("/api/settings", headers=admin_away.bearer)
        assert (asked.status_code, asked.json["error"]["code"]) == (503, "not_ready")  # type: ignore[index]
        assert app.test_client().get("/sign-in").status_code == 200
        assert app.test_client().get("/healthz").status_code == 200
    finally:
        app.extensions["footfall"].close()


def test_postgres_that_hangs_holds_up_nobody(admin: Admin, database: psycopg.Connection) -> None:
    with database.transaction():
        database.execute("LOCK TABLE api_keys, admin_settings IN ACCESS EXCLUSIVE MODE")
        for key in (admin.keys["admin"], "ff_admin_unknown"):
            started_at = time.monotonic()
            answer = admin.client.post("/sign-out", headers={"Authorization": f"Bearer {key}"})
            assert answer.headers["Location"] == "/sign-in"
            assert time.monotonic() - started_at < live.LONGEST_WAIT_SECONDS + 1


def test_revoked_key_is_out_without_anybody_asking(
    admin: Admin, database: psycopg.Connection, database_url: str
) -> None:
    key = new_key(database_url, "admin")
    admin.refresh_live()
    header = {"Authorization": f"Bearer {key}"}
    assert admin.client.get("/api/settings", headers=header).status_code == 200
    database.execute("UPDATE api_keys SET revoked_at = now() WHERE id = 4")
    revoked_at = time.monotonic()
    wait_until(lambda: admin.sources.live.find_key_by_id(4) is None, "the end of the key")
    assert time.monotonic() - revoked_at < 3


def test_look_that_fails_is_not_the_last(admin: Admin, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: object) -> LiveValues:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(live, "read_live", fail)
        admin.refresh_live()
    before = _latest(admin).as_of
    admin.refresh_live()
    assert _latest(admin).as_of > before


def _latest(admin: Admin) -> LiveValues:
    latest = admin.sources.live.latest
    assert latest is not None
    return latest


def _people(database: psycopg.Connection) -> None:
    """Let somebody of each kind be seen 4, 6 and 11 minutes ago."""
    for number, minutes in enumerate(SEEN):
        [(account,)] = database.execute("INSERT INTO accounts DEFAULT VALUES RETURNING id").fetchall()
        database.execute(f"INSERT INTO user_heartbeats VALUES (%s, {MINUTES_AGO})", [account, minutes])
        database.execute(
            f"INSERT INTO visitor_sessions (session_id, first_seen_at, last_seen_at) VALUES (%s, now(), {MINUTES_AGO})",
            [str(number), minutes],
        )
        for kind, country in (("student", "DE"), ("teacher", None)):
            database.execute(
                "INSERT INTO tracking_live_sessions"
                " (session_id, user_id, user_type, app_name, country_code, last_heartbeat)"
                f" VALUES (%s, %s, %s, 'DViz', %s, {MINUTES_AGO})",
                [f"{kind} {number}", number, kind, country, minutes],
            )
