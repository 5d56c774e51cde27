"""`footfall settings`: what an operator types, and what the database says of it afterwards."""

import os
import pwd

import psycopg
import pytest

from tests.system.conftest import Footfall

KEYS = (
    "tracking_enabled",
    "points_enabled",
    "live_session_timeout_minutes",
    "archive_after_days",
    "forget_visitors_after_days",
    "points_per_credit",
)


def test_set_value_is_printed_alone_by_get(migrated: Footfall) -> None:
    assert migrated.run("settings", "get", "tracking_enabled").stdout == "1\n"
    changed = migrated.run("settings", "set", "tracking_enabled", "0")
    assert (changed.returncode, changed.stderr) == (0, "")
    assert changed.stdout == "tracking_enabled is now 0, was 1\n"
    read = migrated.run("settings", "get", "tracking_enabled")
    assert (read.returncode, read.stdout, read.stderr) == (0, "0\n", "")


def test_change_names_the_account_that_made_it(migrated: Footfall) -> None:
    migrated.run("settings", "set", "archive_after_days", "180", USER="somebody", LOGNAME="somebody")
    again = migrated.run("settings", "set", "archive_after_days", "180")
    assert (again.returncode, again.stdout) == (0, "archive_after_days is 180 already\n")
    with psycopg.connect(migrated.env["DATABASE_URL"]) as connection:
        rows = connection.execute("SELECT actor, subject, detail FROM admin_audit_log").fetchall()
    actor = f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
    assert rows == [(actor, "archive_after_days", {"old": "90", "new": "180"})]


def test_get_without_key_prints_them_all(migrated: Footfall) -> None:
    answer = migrated.run("settings", "get")
    assert answer.returncode == 0
    assert [key for key in KEYS if key not in answer.stdout] == []
    assert all(head in answer.stdout for head in ("key", "value", "meaning"))


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("get", "tracking"), KEYS),
        (("set", "tracking", "1"), KEYS),
        (("set", "tracking_enabled", "off"), ("tracking_enabled", "'off'", "0 or 1")),
        (("set", "live_session_timeout_minutes", "0"), ("from 1 to 1440",)),
    ],
)
def test_wrong_key_or_value_is_one_line(footfall: Footfall, arguments: tuple[str, ...], says: tuple[str, ...]) -> None:
    # no database is needed to see it
    answer = footfall.run("settings", *arguments, DATABASE_URL="postgresql://nobody@127.0.0.1:1/x")
    assert (answer.returncode, answer.stdout, answer.stderr.count("\n")) == (2, "", 1)
    assert [words for words in ("footfall: ", *says) if words not in answer.stderr] == []


def test_deleted_setting_is_named_then_set_anew(migrated: Footfall) -> None:
    with psycopg.connect(migrated.env["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("DELETE FROM admin_settings WHERE setting_key = 'points_per_credit'")
    missing = migrated.run("settings", "get", "points_per_credit")
    assert (missing.returncode, missing.stdout, missing.stderr.count("\n")) == (1, "", 1)
    assert "`footfall settings set points_per_credit 100`" in missing.stderr
    assert "not set" in migrated.run("settings", "get").stdout
    assert migrated.run("settings", "set", "points_per_credit", "100").stdout.endswith("is now 100, was not set\n")
    assert migrated.run("doctor").returncode == 0
