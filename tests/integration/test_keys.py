"""Keys as operators handle them, and what the database says of their use."""

import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest
from typer.testing import CliRunner, Result

from footfall.cli import app as command_line
from ingest_app.database import make_engine
from ingest_app.errors import OriginMalformed
from ingest_app.keys import mark_used, read_origin
from tests.integration.controlling import new_key, postgres_away, wait_until, watching

Run = Callable[..., Result]


@pytest.fixture
def run(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `footfall keys` on the test's database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("COLUMNS", "200")
    return lambda *arguments: CliRunner().invoke(command_line, ["keys", *arguments, "--home", str(tmp_path)])


@pytest.mark.parametrize(
    ("stated", "origin"),
    [
        ("https://app.example", "https://app.example"),
        ("HTTPS://App.Example", "https://app.example"),
        ("https://app.example:443", "https://app.example"),
        ("http://app.example:80", "http://app.example"),
        ("https://app.example:80", "https://app.example:80"),
        ("http://localhost:5173", "http://localhost:5173"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("capacitor://localhost", "capacitor://localhost"),
        ("null", "null"),
    ],
)
def test_origin_is_kept_as_browsers_send_it(stated: str, origin: str) -> None:
    assert read_origin(stated) == origin


@pytest.mark.parametrize(
    "stated",
    [
        *("", "*", "app.example", "https://", "https://app.example/", "https://app.example/path", "https://*.example"),
        *("https://app.example?x", "https://user@app.example", "https://app.example:", "https://app.example:port"),
        *("https://b\xfccher.example", " https://app.example", "https://app.example\n", "//app.example"),
    ],
)
def test_what_is_no_origin_is_refused(stated: str) -> None:
    with pytest.raises(OriginMalformed, match="is no origin"):
        read_origin(stated)


def test_created_key_is_printed_alone_and_listed(run: Run) -> None:
    made = run("create", "--scope", "write", "--app", "DViz", "--origin", "https://A.example", "--rate-limit", "50")
    assert (made.exit_code, re.fullmatch(r"ff_write_[\w-]{43}\n", made.output) is not None) == (0, True)
    listed = run("list").output
    assert all(shown in listed for shown in ("DViz", "https://a.example", "50/s", "last used"))
    assert made.output.strip() not in listed


def test_key_without_rate_limit_has_the_default(run: Run) -> None:
    run("create", "--scope", "server")
    assert "1000/s" in run("list").output


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(("--origin", "https://a.example/page"), "is no origin"), (("--rate-limit", "0"), "--rate-limit")],
)
def test_wrong_option_is_wrong_usage(run: Run, arguments: tuple[str, ...], says: str) -> None:
    answer = run("create", "--scope", "write", *arguments)
    assert answer.exit_code == 2
    assert says in " ".join(answer.output.split())
    assert "ff_write" not in answer.output


def test_revoked_key_stays_in_the_list(run: Run) -> None:
    run("create", "--scope", "write")
    assert run("revoke", "1").output == "key 1 is revoked\n"
    assert run("revoke", "1").exit_code == 1
    assert f"{datetime.now(UTC):%Y-%m-%d}" in run("list").output.splitlines()[3].split("│")[-2]


def test_use_is_noted_without_a_write_each(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    keys = [new_key(database_url) for _ in range(2)]
    with watching(database_url, tmp_path, mark_used_seconds=0.1) as watch:
        for _ in range(1_000):
            assert watch.find_key(keys[0])
        wait_until(lambda: _used_at(database)[0], "the mark")
    used, unused = _used_at(database)
    assert used is not None
    assert datetime.now(UTC) - used < timedelta(seconds=20)
    assert unused is None
    writes = "SELECT n_tup_upd FROM pg_stat_user_tables WHERE relname = 'api_keys'"
    assert wait_until(lambda: _number(database, writes), "the count of writes") < 20


def test_use_is_noted_at_close(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    key = new_key(database_url)
    with watching(database_url, tmp_path) as watch:
        watch.find_key(key)
        assert _used_at(database) == [None]
    assert _used_at(database) != [None]


def test_later_use_of_two_workers_stays(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    key = new_key(database_url)
    with watching(database_url, tmp_path) as early:
        early.find_key(key)
        with watching(database_url, tmp_path) as late:
            late.find_key(key)
        (marked,) = _used_at(database)
    assert marked is not None
    assert _used_at(database) == [marked]


def test_mark_is_the_time_of_use(database: psycopg.Connection, database_url: str) -> None:
    new_key(database_url)
    engine = make_engine(database_url)
    for age_seconds in (3_600.0, 7_200.0):
        with engine.begin() as connection:
            mark_used(connection, {1: age_seconds})
    engine.dispose()
    (used_at,) = _used_at(database)
    assert used_at is not None
    assert timedelta(minutes=59) < datetime.now(UTC) - used_at < timedelta(minutes=61)


def test_use_while_postgres_is_away_is_noted_after(
    database: psycopg.Connection, database_url: str, server_url: str, tmp_path: Path
) -> None:
    key = new_key(database_url)
    with watching(database_url, tmp_path, mark_used_seconds=0.1) as watch:
        with postgres_away(server_url, database):
            wait_until(lambda: watch.is_postgres_away, "the absence to be seen")
            assert watch.find_key(key), "a key goes on working"
            tried_at = watch._marked_at
            wait_until(lambda: watch._marked_at > tried_at, "a mark that failed")
            assert _used_at(database) == [None]
        wait_until(lambda: _used_at(database)[0], "the mark")


def test_no_use_is_lost_between_threads(database: psycopg.Connection, database_url: str, tmp_path: Path) -> None:
    keys = [new_key(database_url) for _ in range(20)]
    with watching(database_url, tmp_path, mark_used_seconds=0.0) as watch:
        threads = [
            threading.Thread(target=lambda part: list(map(watch.find_key, part)), args=(keys[n::4],)) for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert None not in _used_at(database)


def _number(database: psycopg.Connection, query: LiteralString) -> int:
    row = database.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _used_at(database: psycopg.Connection) -> list[datetime | None]:
    return [row[0] for row in database.execute("SELECT last_used_at FROM api_keys ORDER BY id")]


def test_audit_log_tells_who_made_and_revoked(run: Run, database: psycopg.Connection) -> None:
    key = run("create", "--scope", "write", "--app", "DViz", "--origin", "https://app.example").stdout.strip()
    run("revoke", "1")
    run("revoke", "1")
    rows = database.execute("SELECT actor, action, subject, detail FROM admin_audit_log ORDER BY id").fetchall()
    assert [(action, subject) for _, action, subject, _ in rows] == [("keys.create", "1"), ("keys.revoke", "1")]
    assert {actor.startswith("cli:") for actor, *_ in rows} == {True}
    assert rows[0][3]["allowed_origins"] == ["https://app.example"]
    assert key not in str(rows)
