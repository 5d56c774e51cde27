"""`footfall rules list|set|remove` as an operator types it, and what each leaves in Postgres."""

import os
import pwd
import threading
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Connection
from typer.testing import CliRunner, Result

from footfall.cli import app
from footfall.errors import NoSuchRule
from ingest_app.database import make_engine
from ingest_app.errors import RuleRefused
from ingest_app.records import Event
from ingest_app.rewards.rules import EVENT_TYPES, MOST_POINTS, Rule, check, remove_rule, set_rule
from ingest_app.schema import point_rules
from tests.integration.test_drain import wait_until

AUDIT = "SELECT actor, action, subject, detail FROM admin_audit_log ORDER BY id"
RULES = "SELECT event_type, event_name, points, daily_cap, active FROM point_rules ORDER BY id"
ACTOR = f"cli:{pwd.getpwuid(os.getuid()).pw_name}"
NOWHERE = "postgresql://nobody@127.0.0.1:1/x"

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `footfall rules` on the test's database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(app, ["rules", *map(str, arguments), "--home", str(tmp_path)])


def test_rule_is_made_changed_and_removed(run: Run, database: psycopg.Connection) -> None:
    said = [
        run("set", "button", "quiz_done", 10, "--daily-cap", 50),
        run("set", "button", "quiz_done", 10, "--daily-cap", 50),
        run("set", "button", "quiz_done", 1, "--inactive"),
        run("remove", "button", "quiz_done"),
    ]
    assert [result.stdout for result in said] == [
        "button quiz_done now earns 10 points, at most 50 a day; had no rule\n",
        "button quiz_done earns 10 points, at most 50 a day already\n",
        "button quiz_done now earns 1 point (inactive); was 10 points, at most 50 a day\n",
        "button quiz_done earns nothing any more; was 1 point (inactive)\n",
    ]
    assert [result.exit_code for result in said] == [0, 0, 0, 0]
    first = {"points": 10, "daily_cap": 50, "active": True}
    last = {"points": 1, "daily_cap": None, "active": False}
    assert database.execute(AUDIT).fetchall() == [
        (ACTOR, "rules.set", "button quiz_done", {"old": None, "new": first}),
        (ACTOR, "rules.set", "button quiz_done", {"old": first, "new": last}),
        (ACTOR, "rules.remove", "button quiz_done", {"old": last, "new": None}),
    ]
    assert database.execute(RULES).fetchall() == []


def test_changed_rule_stays_the_same_row(run: Run, database: psycopg.Connection) -> None:
    whole = "SELECT id, created_at, updated_at, points FROM point_rules"
    run("set", "visit", "open", 5)
    made = database.execute(whole).fetchone()
    run("set", "visit", "open", 6)
    changed = database.execute(whole).fetchone()
    assert made and changed
    assert changed[:2] == made[:2]
    assert (changed[2] > made[2], changed[3]) == (True, 6)


def test_list_shows_rules_and_the_kill_switch(run: Run, database: psycopg.Connection) -> None:
    assert run("list").stdout == "no event earns points: `footfall rules set button press 10` makes a rule\n"
    run("set", "visit", "open", 5, "--inactive")
    run("set", "button", "quiz [done]", 10, "--daily-cap", 50)
    listed = run("list")
    first, second = (line.split("│") for line in listed.stdout.splitlines() if line.startswith("│"))
    assert [cell.strip() for cell in first[2:7]] == ["button", "quiz [done]", "10", "50", "yes"]
    assert [cell.strip() for cell in second[2:7]] == ["visit", "open", "5", "none", "no"]
    assert "points_enabled" not in listed.stdout
    database.execute("UPDATE admin_settings SET setting_value = '0' WHERE setting_key = 'points_enabled'")
    assert run("list").stdout.endswith("nothing is earned now: points_enabled is 0\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("buton", "x", 1), "event_type cannot be 'buton': it is one of visit, button, document, session"),
        (("button", "", 1), "event_name cannot be '': it is a text of 1 to 100 characters"),
        (("button", "x" * 101, 1), "a text of 1 to 100 characters"),
        (("button", "\udcff", 1), "a text of 1 to 100 characters"),
        (("button", "x", 0), "points cannot be 0: it is a whole number from 1 to 2147483647"),
        (("button", "x", MOST_POINTS + 1), "points cannot be 2147483648"),
        (("button", "x", 10, "--daily-cap", 9), "daily_cap cannot be 9: it is from 10, what one event earns, to"),
        (("button", "x", 10, "--daily-cap", MOST_POINTS + 1), "daily_cap cannot be 2147483648"),
    ],
    ids=["type", "empty", "long", "undecodable", "zero", "huge", "low cap", "huge cap"],
)
def test_wrong_rule_is_one_line_without_database(tmp_path: Path, arguments: tuple[object, ...], says: str) -> None:
    # no database is needed to see it
    given = ["rules", "set", *map(str, arguments), "--home", str(tmp_path)]
    result = CliRunner().invoke(app, given, env={"DATABASE_URL": NOWHERE})
    assert (result.exit_code, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert result.stderr.startswith("footfall: ")
    assert says in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [("button", "x", "ten"), ("button", "x", "1.5"), ("button", "x"), ("button", "x", 10, "--daily-cap", "no")],
    ids=["word", "fraction", "none", "cap"],
)
def test_what_is_no_number_is_wrong_usage(arguments: tuple[object, ...]) -> None:
    assert CliRunner().invoke(app, ["rules", "set", *map(str, arguments)]).exit_code == 2


@pytest.mark.parametrize("name", ["press", "\udcff"], ids=["known to nobody", "undecodable"])
def test_missing_rule_cannot_be_removed(run: Run, database: psycopg.Connection, name: str) -> None:
    result = run("remove", "button", name)
    assert isinstance(result.exception, NoSuchRule)
    assert str(result.exception).endswith("see `footfall rules list`")
    assert database.execute(AUDIT).fetchall() == []


@pytest.mark.parametrize("command", ["set", "remove"])
def test_help_gives_an_example(command: str) -> None:
    result = CliRunner().invoke(app, ["rules", command, "--help"])
    assert result.exit_code == 0
    assert f"footfall rules {command} button quiz_done" in " ".join(result.stdout.split())


def test_rules_are_of_the_types_that_apps_send() -> None:
    assert EVENT_TYPES == ("visit", "button", "document", "session")
    [length] = [c.max_length for c in Event.__annotations__["event_name"].__metadata__]
    check(Rule("button", "x" * length, MOST_POINTS, MOST_POINTS))
    with pytest.raises(RuleRefused):
        check(Rule("button", "x" * (length + 1), 1))


def test_longest_and_largest_rule_fits(run: Run, database: psycopg.Connection) -> None:
    name = "\N{WAVING HAND SIGN}" * 100
    assert run("set", "session", name, MOST_POINTS, "--daily-cap", MOST_POINTS).exit_code == 0
    assert database.execute(RULES).fetchall() == [("session", name, MOST_POINTS, MOST_POINTS, True)]
    columns = {"event_type", "event_name", "points", "daily_cap", "active"}
    assert columns < set(point_rules.c.keys())


def test_refused_rule_and_its_audit_row_go_together(database_url: str, database: psycopg.Connection) -> None:
    database.execute("ALTER TABLE admin_audit_log ADD CHECK (actor <> 'cli:nobody')")
    for change in (
        lambda connection: set_rule(connection, Rule("button", "x", 1), "cli:nobody"),
        lambda connection: set_rule(connection, Rule("button", "x", 0), "cli:ada"),
    ):
        with pytest.raises(Exception, match=r"admin_audit_log|points cannot be 0"):
            in_a_session_of_its_own(database_url, change)
    assert (database.execute(RULES).fetchall(), database.execute(AUDIT).fetchall()) == ([], [])


def test_two_changes_at_once_form_one_chain(database_url: str, database: psycopg.Connection) -> None:
    first, second = Rule("button", "x", 1), Rule("button", "x", 2)
    other = threading.Thread(
        target=in_a_session_of_its_own,
        args=(database_url, lambda connection: set_rule(connection, second, "cli:second")),
    )

    def set_first_and_start_other(connection: Connection) -> None:
        set_rule(connection, first, "cli:first")
        other.start()
        waiting = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        wait_until(lambda: database.execute(waiting).rowcount == 1)

    in_a_session_of_its_own(database_url, set_first_and_start_other)
    other.join(30)
    old, new = ({"points": points, "daily_cap": None, "active": True} for points in (1, 2))
    assert [row[3] for row in database.execute(AUDIT)] == [{"old": None, "new": old}, {"old": old, "new": new}]
    in_a_session_of_its_own(database_url, lambda connection: remove_rule(connection, "button", "x", "cli:ada"))
    assert database.execute(RULES).fetchall() == []


def in_a_session_of_its_own(database_url: str, change: Callable[[Connection], object]) -> None:
    engine = make_engine(database_url)
    try:
        with engine.begin() as connection:
            change(connection)
    finally:
        engine.dispose()
