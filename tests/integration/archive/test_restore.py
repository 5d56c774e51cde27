"""The restore: sealed days come back whole or not at all, and no row of them counts twice, whoever looks next."""

import pkgutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import psycopg
import pytest
from typer.testing import CliRunner, Result

from footfall.commands.archive import app
from tests.integration.archive.aging import (
    AN_OLD_EVENT,
    OLD,
    OLDER,
    expire_now,
    gone,
    partition,
    partition_states,
)
from tests.integration.archive.sealing import DAY, TODAY, Home, days_ago, part
from tests.integration.archive.test_expire import ALL_OLD, run
from tests.integration.archive.test_seal import flip_a_byte
from warehouse.archive.errors import DaysNotArchived, NotRestored, SealedFileDamaged
from warehouse.archive.restore import choose, chosen
from warehouse.archive.restore_postgres import restore_into_postgres
from warehouse.errors import ErasureUnfinished, WriterBusy
from warehouse.writer import require_no_writer


def footfall_archive(home: Home, *arguments: str) -> Result:
    return CliRunner().invoke(
        app,
        [*arguments, "--home", str(home.folder)],
        env={"COLUMNS": "300", "DATABASE_URL": home.database_url, "FOOTFALL_ARCHIVE": ""},
    )


def restore(home: Home, *days: object, table: str | None = None) -> list[int]:
    with chosen(home.warehouse_path, home.store, list(days), table) as files:  # type: ignore[arg-type]
        restored = restore_into_postgres(home.database_url, home.store, files)
    return [one.written_row_count for one in restored]


def in_postgres(home: Home) -> list[tuple[object, ...]]:
    """All rows of the old days but what a restore writes anew: their xid, and days that only Postgres knows."""
    query = """
        SELECT to_jsonb(one) - 'xid' - 'created_at', least(greatest(created_at, '0001-01-02Z'), '9999-12-31Z')::text
        FROM {} AS one WHERE received_at < '{}' ORDER BY event_id
    """
    with psycopg.connect(home.database_url) as connection:
        return [
            row
            for table in ("tracking_events", "activity_events")
            for row in connection.execute(query.format(table, DAY).encode()).fetchall()
        ]


@pytest.fixture
def expired_home(aged_home: Home) -> Home:
    assert gone(expire_now(aged_home)) == ALL_OLD
    return aged_home


def test_restored_rows_are_what_they_were(aged_home: Home) -> None:
    rows, before = in_postgres(aged_home), aged_home.sources()
    expire_now(aged_home)
    assert restore(aged_home, OLD, OLDER) == [4, 4, 12, 12]
    assert in_postgres(aged_home) == rows
    assert partition_states(aged_home)[partition(OLD)] == "attached"
    assert restore(aged_home, OLD, OLDER) == [0, 0, 0, 0]
    for full in (False, True):
        aged_home.load(full=full)
        assert aged_home.sources() == before
    assert aged_home.seal() == []
    assert aged_home.hot_count() == 12
    assert gone(expire_now(aged_home)) == ALL_OLD
    assert aged_home.sources() == before


def test_restore_leaves_what_is_there(aged_home: Home) -> None:
    rows = in_postgres(aged_home)
    assert restore(aged_home, OLD) == [0, 0]
    run(aged_home, f"DELETE FROM tracking_events WHERE event_name = '' AND received_at < '{DAY}'")
    run(aged_home, AN_OLD_EVENT)
    assert restore(aged_home, OLD, OLDER, table="tracking_events") == [3, 3]
    run(aged_home, "DELETE FROM tracking_events WHERE event_name = 'late'")
    assert in_postgres(aged_home) == rows


@pytest.mark.parametrize("how", ["", " CONCURRENTLY"], ids=["detached", "in two steps"])
def test_restore_attaches_a_day_that_was_leaving(aged_home: Home, how: str) -> None:
    rows = in_postgres(aged_home)
    run(
        aged_home,
        f"ALTER TABLE tracking_events DETACH PARTITION {partition(OLD)}{how}",
        f"DELETE FROM {partition(OLD)} WHERE event_name = ''",
    )
    assert restore(aged_home, OLD, table="tracking_events") == [3]
    assert in_postgres(aged_home) == rows


def test_late_row_of_a_restored_day_is_sealed_beside_it(expired_home: Home) -> None:
    restore(expired_home, OLD)
    run(expired_home, AN_OLD_EVENT)
    expired_home.load()
    assert expired_home.seal() == [part("tracking_events", OLD, 1)]
    assert len(expired_home.sources()["tracking_events"]) == 49
    assert gone(expire_now(expired_home)) == [("activity_events", OLD), ("tracking_events", OLD)]
    assert restore(expired_home, OLD) == [4, 13]


@pytest.mark.parametrize("damage", [Path.unlink, flip_a_byte], ids=["missing", "changed"])
def test_damaged_file_restores_no_day(expired_home: Home, damage: Callable[[Path], None]) -> None:
    damage(expired_home.archive / part("tracking_events", OLD))
    with pytest.raises(SealedFileDamaged):
        restore(expired_home, OLDER, OLD)
    assert partition(OLDER) not in partition_states(expired_home)


def test_rows_changed_by_hand_stop_the_restore(aged_home: Home) -> None:
    run(aged_home, f"UPDATE tracking_events SET os = 'other' WHERE os = '' AND received_at < '{DAY}'")
    run(aged_home, f"DELETE FROM tracking_events WHERE event_name = 'open' AND received_at < '{DAY}'")
    rows = in_postgres(aged_home)
    with pytest.raises(NotRestored, match=f"tracking_events of {OLD} is not restored, nothing was written"):
        restore(aged_home, OLD)
    assert in_postgres(aged_home) == rows


def test_day_that_is_not_sealed_names_the_nearest(home: Home) -> None:
    home.seal()
    with pytest.raises(DaysNotArchived) as missed:
        choose(home.store, [TODAY, days_ago(-3), DAY])
    told = f"{TODAY}, {days_ago(-3)} are not in the archive: the nearest days that are there: {days_ago(5)}, {DAY}"
    assert str(missed.value) == told
    with pytest.raises(DaysNotArchived, match=f"{DAY} is not in the archive of tracking_documents: no day is"):
        choose(home.store, [DAY], "tracking_documents")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["2026-02-30"], "'2026-02-30' is not a day like 2026-01-31"),
        (["2026-01-01", "--table", "users"], "'users' is not one of activity_events"),
    ],
)
def test_wrong_usage_exits_two_with_a_line(tmp_path: Path, arguments: list[str], told: str) -> None:
    answer = footfall_archive(Home(tmp_path, "postgresql://nobody@127.0.0.1:1/none"), "restore", *arguments)
    assert (answer.exit_code, len(answer.output.splitlines())) == (2, 1)
    assert told in answer.output


def test_list_says_what_is_only_in_the_archive(aged_home: Home) -> None:
    expire_now(aged_home)
    lines = footfall_archive(aged_home, "list").output.splitlines()
    states = {line.split("│")[1].strip(): line.split("│")[-2].strip() for line in lines if "_events" in line}
    assert states == {str(OLDER): "expired", str(OLD): "expired", str(DAY): "sealed"}
    away = footfall_archive(Home(aged_home.folder, "postgresql://nobody@127.0.0.1:1/none"), "list")
    assert (away.exit_code, away.stdout.count("sealed or expired")) == (0, 6)
    assert "it is not known which of these days Postgres still has: cannot reach Postgres" in away.stderr


def test_commands_say_what_left_and_what_came(aged_home: Home) -> None:
    (aged_home.archive / part("activity_events", OLD)).unlink()
    for arguments, left in ((["--dry-run"], "would leave"), ([], "left")):
        answer = footfall_archive(aged_home, "expire", *arguments)
        assert answer.exit_code == 1
        assert f"3 days of tables {left} Postgres, which keeps 90 days: 28 rows" in answer.output
        assert f"activity_events of {OLD} stays in Postgres: " in answer.output
        assert (partition(OLDER) in partition_states(aged_home)) is bool(arguments)
    answer = footfall_archive(aged_home, "restore", str(OLDER))
    assert answer.exit_code == 0
    assert f"tracking_events of {OLDER}: 12 rows restored, 0 were there already" in answer.output
    assert "the next expire takes them away again" in answer.output


def test_restored_duckdb_has_typed_rows_once(home: Home) -> None:
    home.seal()
    for written in (12, 0):
        answer = footfall_archive(home, "restore", str(DAY), "--into", "duckdb")
        assert answer.exit_code == 0, answer.output
        assert f"tracking_events of {DAY}: {written} rows restored, {12 - written} were there" in answer.output
    assert footfall_archive(home, "restore", str(days_ago(5)), "--into", "duckdb").exit_code == 0
    with duckdb.connect(str(home.folder / "warehouse" / "restored.duckdb"), read_only=True) as restored:
        restored.execute("SET TimeZone = 'UTC'")
        rows = restored.execute(f"FROM tracking_events WHERE received_at >= '{DAY}' ORDER BY event_id").fetchall()
        assert restored.execute("SELECT count(*), typeof(any_value(event_id)) FROM tracking_events").fetchall() == [
            (24, "UUID")
        ]
    assert rows == home.ask(f"FROM sources.tracking_events WHERE received_at::DATE = '{DAY}' ORDER BY event_id")


@pytest.mark.parametrize("ending", [".parquet", ".csv"])
def test_restored_file_has_one_table_and_is_not_overwritten(home: Home, tmp_path: Path, ending: str) -> None:
    home.seal()
    path = tmp_path / f"days{ending}"
    several = footfall_archive(home, "restore", str(DAY), "--into", str(path))
    assert isinstance(several.exception, NotRestored)
    assert "choose by --table activity_events or tracking_events" in str(several.exception)
    days = [str(DAY), str(days_ago(5))]
    assert footfall_archive(home, "restore", *days, "--table", "tracking_events", "--into", str(path)).exit_code == 0
    frame = pl.read_parquet(path) if ending == ".parquet" else pl.read_csv(path)
    assert len(frame) == 24
    event_ids = {str(row[0]) for row in home.ask("SELECT event_id FROM sources.tracking_events")}
    assert set(frame["event_id"]) <= event_ids
    again = footfall_archive(home, "restore", *days, "--table", "tracking_events", "--into", str(path))
    assert "it is there already" in str(again.exception)
    assert sorted(tmp_path.glob("days*")) == [path]


@pytest.mark.parametrize(
    ("into", "last_step"),
    [
        ("postgres", "warehouse.archive.restore_postgres._require_rows"),
        ("duckdb", "warehouse.archive.restore_file.name_it"),
    ],
)
def test_nobody_writes_between_choice_and_result(
    home: Home, monkeypatch: pytest.MonkeyPatch, into: str, last_step: str
) -> None:
    """An erasure that came in between would have its person back."""
    home.seal()
    held = []

    def watched(place: str) -> None:
        do = pkgutil.resolve_name(place)

        def do_beside_another(*arguments: object) -> object:
            with pytest.raises(WriterBusy, match="restore"):
                require_no_writer(home.warehouse_path)
            held.append(place)
            return do(*arguments)

        monkeypatch.setattr(place, do_beside_another)

    steps = ["warehouse.archive.restore.choose", last_step]
    for step in steps:
        watched(step)
    answer = footfall_archive(home, "restore", str(DAY), "--table", "tracking_events", "--into", into)
    assert (answer.exit_code, held) == (0, steps), answer.output


def test_restore_waits_for_a_half_done_erasure(home: Home, tmp_path: Path) -> None:
    home.seal()
    run(home, "INSERT INTO erasures (subject_kind, subject, pseudonym, actor) VALUES ('user', '31', -9, 'a test')")
    path = tmp_path / "day.duckdb"
    kinds = ("postgres", "duckdb", str(path))
    refused = [footfall_archive(home, "restore", str(DAY), "--into", into).exception for into in kinds]
    run(home, "DELETE FROM erasures")
    assert [type(error) for error in refused] == [ErasureUnfinished] * 3
    assert not path.exists()
    away = Home(home.folder, "postgresql://nobody@127.0.0.1:1/none")
    answer = footfall_archive(away, "restore", str(DAY), "--into", str(path))
    assert (answer.exit_code, path.exists()) == (0, True)
    assert "it is not known whether somebody is half erased" in answer.stderr


def test_file_of_another_ending_is_refused(home: Home, tmp_path: Path) -> None:
    home.seal()
    answer = footfall_archive(home, "restore", str(DAY), "--into", str(tmp_path / "days.xlsx"))
    assert "has to end in one of .parquet, .csv, .duckdb" in str(answer.exception)
