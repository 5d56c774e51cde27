"""Commands that end by themselves: what they print, and what they say when something is wrong."""

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from tests.system.conftest import Footfall


def test_migrate_twice_says_what_it_did(footfall_on_server: Footfall) -> None:
    first, second = footfall_on_server.run("migrate"), footfall_on_server.run("migrate")
    assert first.stdout.startswith("the schema went from nothing to 00")
    assert second.stdout.startswith("the schema is up to date")
    assert first.stderr == second.stderr == ""


def test_commands_share_the_embedded_postgres(footfall: Footfall) -> None:
    assert footfall.run("migrate").returncode == 0
    assert (footfall.home / "postgres" / "PG_VERSION").exists()
    assert "up to date" in footfall.run("migrate").stdout
    assert footfall.processes() == []


def test_embedded_postgres_runs_for_ordinary_user(footfall: Footfall) -> None:
    if os.geteuid() != 0:
        pytest.skip("this test run is an ordinary user's already")
    # as root, the server itself must run as somebody else: it refuses to be root
    assert footfall.run("migrate").returncode == 0
    assert (footfall.home / "postgres").stat().st_uid != 0


def test_key_is_printed_alone_then_listed_then_revoked(migrated: Footfall) -> None:
    made = migrated.run("keys", "create", "--scope", "server", "--app", "DViz")
    key = made.stdout.strip()
    assert (made.returncode, made.stderr, len(key.split())) == (0, "", 1)
    listed = migrated.run("keys", "list").stdout
    assert "DViz" in listed
    assert key not in listed
    assert migrated.run("keys", "revoke", "1").returncode == 0
    again = migrated.run("keys", "revoke", "1")
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)


def test_doctor_is_well_after_migrate(footfall_on_server: Footfall) -> None:
    footfall_on_server.run("migrate")
    answer = footfall_on_server.run("doctor")
    assert answer.returncode == 0, answer.stdout + answer.stderr
    for item in (
        "All tables created successfully",
        "Indexes verified",
        "JSON meta support enabled",
        "Cron job defined for live session cleanup",
        "Points & credits atomic updates tested",
    ):
        assert f"[x] {item}: " in answer.stdout


CLOSED = "postgresql://nobody:hidden@127.0.0.1:1/x"

DAMAGES = {
    "DROP TABLE user_credit_logs": "All tables created successfully: missing tables: user_credit_logs",
    "DROP INDEX tracking_events_idx_date": "Indexes verified: missing indexes: tracking_events_idx_date",
    "ALTER TABLE user_points DROP CONSTRAINT user_points_points_check": "Points & credits atomic updates tested: ",
    "DELETE FROM admin_settings WHERE setting_key = 'points_enabled'": "settings: missing settings: points_enabled",
    (
        "UPDATE admin_settings SET setting_value = 'soon' WHERE setting_key = 'archive_after_days'"
    ): "values of settings: archive_after_days is 'soon', not a whole number from 30 to 36500",
    "ALTER TABLE users DROP COLUMN email": "users.email",
    "DROP TRIGGER set_xid ON accounts": "triggers: missing triggers: accounts.set_xid",
    "DROP TRIGGER set_updated_at ON user_points": "user_points.set_updated_at",
    "ALTER TABLE users DROP CONSTRAINT users_user_type_check": "users_user_type_check",
    (
        "DROP INDEX user_point_logs_event_id_idx; "
        "CREATE INDEX user_point_logs_event_id_idx ON user_point_logs (event_id)"
    ): "user_point_logs_event_id_idx (unique)",
    "DROP TABLE tracking_documents_p" + f"{datetime.now(UTC) + timedelta(days=2):%Y%m%d}": "partitions: made 1 days",
    (
        "INSERT INTO tracking_live_sessions (session_id, user_id, user_type, app_name, last_heartbeat) "
        "VALUES ('s', 1, 'student', 'a', now() - interval '1 day')"
    ): "Cron job defined for live session cleanup: schedule */5 * * * *; 1 rows overdue",
}


def test_doctor_names_everything_that_is_wrong(migrated: Footfall) -> None:
    with psycopg.connect(migrated.env["DATABASE_URL"], autocommit=True) as connection:
        for damage in DAMAGES:
            connection.execute(damage.encode())
    answer = migrated.run("doctor")
    assert answer.returncode == 1
    wrong = [line for line in answer.stdout.splitlines() if "[ ]" in line and " -> " in line]
    assert [item for item in DAMAGES.values() if not any(item in line for line in wrong)] == []
    # one line for two triggers, one for two indexes; without a table of it the ledger cannot be compared, and without
    # the setting nobody can tell which days ought to have left
    assert len(wrong) == len(DAMAGES) - 2 + 2


@pytest.mark.parametrize(
    ("command", "url", "says"),
    [
        ("migrate", "mysql://u:hidden@127.0.0.1/x", "it is not a URL like postgresql://"),
        ("migrate", "nonsense hidden", "it is not a URL like postgresql://"),
        *((name, CLOSED, f"at {CLOSED.replace('hidden', '***')}") for name in ("migrate", "refresh", "up")),
    ],
)
def test_wrong_database_url_is_one_line(footfall: Footfall, command: str, url: str, says: str) -> None:
    _is_one_line(footfall.run(command, DATABASE_URL=url), says)


def test_database_without_schema_names_the_command(footfall_on_server: Footfall) -> None:
    _is_one_line(footfall_on_server.run("refresh"), "run `footfall migrate`")


@pytest.mark.parametrize("command", ["migrate", "up"])
def test_schema_of_newer_version_is_one_line(migrated: Footfall, command: str) -> None:
    with psycopg.connect(migrated.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    _is_one_line(migrated.run(command), "newer than this footfall knows", "upgrade footfall")


@pytest.mark.parametrize("name", ["INGEST", "ADMIN", "DAGSTER"])
def test_taken_port_is_one_line(footfall_on_server: Footfall, name: str) -> None:
    variable = f"FOOTFALL_{name}_PORT"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", int(footfall_on_server.env[variable])))
        taken.listen()
        _is_one_line(footfall_on_server.run("up"), "is taken", variable)
    assert footfall_on_server.processes() == []


def test_home_that_is_no_folder_is_one_line(footfall: Footfall, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    _is_one_line(footfall.run("migrate", "--home", str(tmp_path / "file")), "cannot write to the home folder")


def test_wrong_port_number_is_one_line(footfall: Footfall) -> None:
    _is_one_line(footfall.run("up", FOOTFALL_INGEST_PORT="http"), "FOOTFALL_INGEST_PORT")


def test_wrong_way_of_alerts_starts_nothing(footfall: Footfall) -> None:
    _is_one_line(footfall.run("up", FOOTFALL_ALERT_WEBHOOK="hooks.example.org/x"), "FOOTFALL_ALERT_WEBHOOK is no http")
    assert footfall.processes() == []


def test_wrong_usage_exits_with_two(footfall: Footfall) -> None:
    assert footfall.run("keys", "create", "--scope", "root").returncode == 2
    assert footfall.run("nothing").returncode == 2
    assert footfall.run("--help").returncode == 0


def _is_one_line(answer: "object", *says: str) -> None:
    assert getattr(answer, "returncode", None) == 1, answer
    error = str(getattr(answer, "stderr", ""))
    assert error.startswith("footfall: "), error
    assert error.count("\n") == 1, error
    assert "hidden" not in error
    for words in says:
        assert words in error
