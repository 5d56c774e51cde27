"""Sealed files are written anew without some rows: just these go, the chain says so, and whatever reads files copes."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import psycopg
import pytest

from tests.integration.archive.aging import OLD as OLD_DAY
from tests.integration.archive.aging import OLDER, expire_now, gone
from tests.integration.archive.rewriting import CONDITIONS, REASON, rewrite, without
from tests.integration.archive.sealing import DAY, OTHER_DAY, TODAY, Home, Rows, part
from tests.integration.archive.test_seal import LATE_ROW, flip_a_byte
from warehouse.archive import rewrite as rewrite_module
from warehouse.archive.errors import FilesNotNamed, ManifestDamaged, RewriteFailed, SealedFileDamaged
from warehouse.archive.fingerprint import file_fingerprint, sha256_of
from warehouse.archive.manifest import manifest_lines, read_chain, read_manifest
from warehouse.archive.rewrite import count_rows
from warehouse.archive.sealed_file import SealedFile, from_line
from warehouse.archive.splitting import Split, write_staying
from warehouse.archive.verify import list_files, unnamed_files, verify_files
from warehouse.connection import open_warehouse

OLD = part("tracking_events", DAY)
NEW = OLD.replace("part-0.", "part-0.v1.")


@pytest.fixture(scope="module")
def sealed_once(loaded: Home, tmp_path_factory: pytest.TempPathFactory) -> tuple[Home, dict[str, Rows]]:
    folder = tmp_path_factory.mktemp("sealed") / "home"
    shutil.copytree(loaded.folder, folder)
    home = Home(folder, loaded.database_url)
    home.seal()
    return home, home.sources()


@pytest.fixture
def sealed(sealed_once: tuple[Home, dict[str, Rows]], tmp_path: Path) -> Home:
    """A copy, for a test that changes nothing in Postgres."""
    home, _ = sealed_once
    shutil.copytree(home.folder, tmp_path / "home")
    return replace(home, folder=tmp_path / "home")


@pytest.fixture
def before(sealed_once: tuple[Home, dict[str, Rows]]) -> dict[str, Rows]:
    return sealed_once[1]


def faults(home: Home) -> list[str]:
    findings = (*verify_files(home.store), *unnamed_files(home.store))
    return [f"{finding.subject} {finding.fault}: {finding.advice}" for finding in findings if finding.fault]


def write_manifest(home: Home, files: list[SealedFile]) -> None:
    """Write lines whose hashes are right."""
    chained: list[SealedFile] = []
    for file in files:
        chained.append(replace(file, previous_hash=chained[-1].hash if chained else file.previous_hash))
    home.manifest.write_text("".join(f"{file.line()}\n" for file in chained))


def test_only_these_rows_are_gone_from_files(sealed: Home, before: dict[str, Rows]) -> None:
    old = pl.read_parquet(sealed.archive / OLD)
    with open_warehouse(sealed.warehouse_path) as warehouse:
        counted = {file.path: count for file, count in count_rows(warehouse, sealed.store, CONDITIONS)}
    written = {one.old_path: one for one in rewrite(sealed)}
    assert {path: one.removed_row_count for path, one in written.items()} == counted
    assert sum(counted.values()) == 2 + 6
    new = pl.read_parquet(sealed.archive / NEW)
    # columns, their types and the order as they were
    assert new.equals(old.filter(pl.col("user_id").is_null() | (pl.col("user_id") != 1)))
    assert (written[OLD].path, written[OLD].row_count) == (NEW, 9)
    assert written[OLD].byte_count == (sealed.archive / NEW).stat().st_size
    assert sealed.sources() == without(before, f"{TODAY}")
    assert faults(sealed) == []


def test_manifest_goes_on_with_reason_and_hash(sealed: Home) -> None:
    lines = manifest_lines(sealed.store)
    rewrite(sealed, {"tracking_events": f"user_id = 1 AND received_at >= '{DAY}'"})
    rewrite(sealed, {"tracking_events": f"user_id = 2 AND received_at >= '{DAY}'"})
    *old, first, second = read_chain(sealed.store)
    assert [file.line() for file in old] == lines
    [replaced] = [file for file in old if file.path == OLD]
    assert (first.replaces, first.reason, second.replaces) == (replaced.hash, REASON, first.hash)
    assert second.path == OLD.replace("part-0.", "part-0.v2.")
    assert [state for file, state in list_files(sealed.store) if file.path == second.path] == ["sealed"]
    assert len(list_files(sealed.store)) == len(read_manifest(sealed.store)) == 4
    assert faults(sealed) == []


def test_rewrite_again_finds_nothing_to_do(sealed: Home) -> None:
    rewrite(sealed)
    manifest = sealed.manifest.read_bytes()
    assert rewrite(sealed) == []
    assert sealed.manifest.read_bytes() == manifest


def test_uuid_conditions_read_columns_as_models_do(sealed: Home, before: dict[str, Rows]) -> None:
    rows = before["activity_events"]
    person = next(row[1] for row in rows if row[1] is not None and f"{row[6]:%Y-%m-%d}" == f"{DAY}")
    rewrite(sealed, {"activity_events": f"user_id = '{person}'"})
    assert sealed.sources()["activity_events"] == [row for row in rows if row[1] != person]


def test_file_of_which_nothing_stays_is_empty(sealed: Home, before: dict[str, Rows]) -> None:
    rewrite(sealed, {"tracking_events": f"received_at < '{DAY}'", "activity_events": "true"})
    assert pl.read_parquet(sealed.archive / part("tracking_events", OTHER_DAY).replace("-0.", "-0.v1.")).height == 0
    expected = {
        "tracking_events": [row for row in before["tracking_events"] if f"{row[14]:%Y-%m-%d}" >= f"{DAY}"],
        "activity_events": [row for row in before["activity_events"] if f"{row[6]:%Y-%m-%d}" == f"{TODAY}"],
        "tracking_documents": [],
    }
    assert sealed.sources() == expected
    assert faults(sealed) == []
    [empty] = [
        file
        for file in read_manifest(sealed.store)
        if file.path.startswith(f"tracking_events/received_date={OTHER_DAY}")
    ]
    assert (empty.row_count, empty.digest, empty.min_created_at) == (0, "0", "")
    sealed.warehouse_path.unlink()
    sealed.load(full=True)
    assert sealed.sources() == before


def test_damaged_file_is_named_and_not_rewritten(sealed: Home) -> None:
    path = sealed.archive / OLD
    flip_a_byte(path)
    damaged = path.read_bytes()
    # as a disk does it, without a new time of change
    with open_warehouse(sealed.warehouse_path) as warehouse:
        warehouse.execute("UPDATE meta.sealed_files SET modified_ns = ? WHERE path = ?", [path.stat().st_mtime_ns, OLD])
    manifest = sealed.manifest.read_bytes()
    with pytest.raises(SealedFileDamaged, match=OLD):
        rewrite(sealed, {"tracking_events": f"id > 0 AND received_at >= '{DAY}'"})
    assert sealed.manifest.read_bytes() == manifest
    assert path.read_bytes() == damaged
    assert not (sealed.archive / NEW).exists()


def test_condition_that_cannot_be_read_changes_nothing(sealed: Home, before: dict[str, Rows]) -> None:
    with pytest.raises(RewriteFailed, match="no_such_column"):
        rewrite(sealed, {"tracking_events": "no_such_column = 1"})
    with pytest.raises(ValueError, match="no event tables: user_points"):
        rewrite(sealed, {"user_points": "user_id = 1"})
    assert sealed.sources() == before


def test_quarter_hours_of_gone_rows_are_touched(sealed: Home, before: dict[str, Rows]) -> None:
    sealed.ask("DELETE FROM meta.touched RETURNING 1")
    rewrite(sealed)
    expected = {("tracking_events", moment) for moment, in sealed.ask(
        "SELECT DISTINCT time_bucket(INTERVAL '15 minutes', created_at) FROM raw.tracking_events WHERE user_id = 1"
    )}  # fmt: skip
    touched = set(sealed.ask("SELECT table_name, quarter_hour FROM meta.touched"))
    assert {row for row in touched if row[0] == "tracking_events"} == expected
    # the last moment of each of two days
    assert {f"{moment:%H:%M}" for table, moment in touched if table == "activity_events"} == {"23:45"}
    assert len(touched) == len(expected) + 2


def test_older_warehouse_put_back_learns_of_the_rewrite(sealed: Home, before: dict[str, Rows]) -> None:
    old_warehouse = sealed.warehouse_path.read_bytes()
    rewrite(sealed)
    after = read_chain(sealed.store)
    sealed.warehouse_path.write_bytes(old_warehouse)
    sealed.load(full=True)
    # the rows that Postgres still has are hot again, and no others
    assert sealed.sources() == before
    assert sealed.hot_count() == 12 + 6
    assert read_chain(sealed.store) == after


def test_older_manifest_beside_rewritten_files_is_refused(sealed: Home) -> None:
    old_manifest = sealed.manifest.read_bytes()
    rewrite(sealed)
    sealed.manifest.write_bytes(old_manifest)
    sealed.warehouse_path.unlink()
    with pytest.raises(FilesNotNamed, match=r"part-0.v1.parquet"):
        sealed.load(full=True)
    assert (sealed.archive / NEW).exists()


def test_replaced_file_stays_while_the_new_one_is_damaged(sealed: Home) -> None:
    shutil.copy(sealed.archive / OLD, sealed.folder / "old.parquet")
    rewrite(sealed)
    shutil.move(sealed.folder / "old.parquet", sealed.archive / OLD)
    whole = (sealed.archive / NEW).read_bytes()
    flip_a_byte(sealed.archive / NEW)
    with pytest.raises(SealedFileDamaged, match=NEW):
        sealed.sources()
    assert (sealed.archive / OLD).exists()
    assert [fault for fault in faults(sealed) if fault.startswith(f"{OLD} is in no line of")]
    (sealed.archive / NEW).write_bytes(whole)
    assert faults(sealed) == [f"{OLD} was left by a rewrite that was stopped: the next refresh removes it"]
    sealed.sources()
    assert not (sealed.archive / OLD).exists()


def test_part_with_other_rows_is_no_leftover(sealed: Home) -> None:
    """It is called like the next version of a live file, and has a row that this one has not."""
    pl.read_parquet(sealed.archive / OLD).with_columns(id=pl.lit(7).cast(pl.Int64)).write_parquet(sealed.archive / NEW)
    sealed.sources()
    assert (sealed.archive / NEW).exists()
    sealed.warehouse_path.unlink()
    with pytest.raises(FilesNotNamed, match=NEW):
        sealed.load(full=True)


def test_part_that_nothing_names_stops_the_rewrite(sealed: Home, before: dict[str, Rows]) -> None:
    other = OLD.replace("part-0.", "part-7.")
    shutil.copy(sealed.archive / OLD, sealed.archive / other)
    with pytest.raises(FilesNotNamed, match=other):
        rewrite(sealed)
    assert sealed.sources() == before
    assert rewrite(sealed, {"tracking_events": "user_id = 987654"}) == []


def test_part_of_a_killed_seal_goes_before_a_rewrite(home: Home) -> None:
    """Its rows are hot, but for those that have gone there already."""
    hot = [row for row in home.ask(f"SELECT id FROM raw.tracking_events WHERE received_at::DATE = '{DAY}'")]
    assert len(hot) == 12
    (home.archive / OLD).parent.mkdir(parents=True)
    home.ask(
        f"COPY (SELECT * REPLACE (event_id::BLOB AS event_id) FROM raw.tracking_events"
        f" WHERE received_at::DATE = '{DAY}') TO '{home.archive / OLD}' (FORMAT parquet)"
    )
    home.ask("DELETE FROM raw.tracking_events WHERE user_id = 1 RETURNING 1")
    assert rewrite(home) == []
    assert not (home.archive / OLD).exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            lambda file, _: replace(file, received_date=f"{OTHER_DAY}"),
            "it replaces a line of another table, day or part",
        ),
        (lambda file, _: replace(file, replaces="0" * 64), "it replaces a line that is not before it"),
        (lambda file, before: replace(file, replaces=before.replaces), "or is replaced already"),
    ],
    ids=["another day", "no line", "replaced already"],
)
def test_line_that_replaces_another_wrongly_is_a_fault(
    sealed: Home, change: Callable[[SealedFile, SealedFile], SealedFile], told: str
) -> None:
    rewrite(sealed, {"tracking_events": f"user_id = 1 AND received_at >= '{DAY}'"})
    rewrite(sealed, {"tracking_events": f"user_id = 2 AND received_at >= '{DAY}'"})
    *lines, first, second = read_chain(sealed.store)
    write_manifest(sealed, [*lines, first, change(second, first)])
    assert any(told in fault for fault in faults(sealed))
    with pytest.raises(ManifestDamaged, match=told):
        read_manifest(sealed.store)


def test_line_of_before_has_the_hash_that_it_had() -> None:
    line = Path(__file__).with_name("manifest_line.json").read_text().strip()
    assert from_line(line).line() == line
    assert json.loads(line).keys().isdisjoint({"replaces", "reason"})


def test_late_row_is_sealed_beside_a_rewritten_part(database: psycopg.Connection, own_home: Home) -> None:
    own_home.seal()
    for table, condition in CONDITIONS.items():
        database.execute(f"DELETE FROM {table} WHERE {condition} AND received_at < '{TODAY}'".encode())
    rewrite(own_home)
    database.execute(LATE_ROW)
    own_home.load()
    before = own_home.sources()
    assert len(before["tracking_events"]) == 36 - 6 + 1
    assert own_home.seal() == [part("tracking_events", DAY, 1)]
    assert own_home.sources() == before
    own_home.warehouse_path.unlink()
    own_home.load(full=True)
    assert own_home.sources() == before
    assert own_home.hot_count() == 12
    rewrite(own_home, {"tracking_events": "event_name = 'late'"})
    assert own_home.sources()["tracking_events"] == [row for row in before["tracking_events"] if row[5] != "late"]


def test_file_of_an_older_footfall_keeps_its_columns(sealed: Home, before: dict[str, Rows]) -> None:
    """It has fewer columns than the models read."""
    path = sealed.archive / OLD
    fewer = sealed.archive / "fewer.parquet"
    with duckdb.connect() as engine:
        engine.execute("SET TimeZone = 'UTC'")
        engine.execute(f"COPY (SELECT * EXCLUDE (ip_hash) FROM '{path}') TO '{fewer}' (FORMAT parquet)")
    fewer.replace(path)
    *_, old = (file for file in read_chain(sealed.store) if file.path == OLD)
    columns = {column: kind for column, kind in old.columns.items() if column != "ip_hash"}
    fingerprint, _ = file_fingerprint(path, columns)
    lines = [
        replace(
            file,
            columns=columns,
            digest=str(fingerprint.digest),
            sha256=sha256_of(path),
            byte_count=path.stat().st_size,
        )
        if file.path == OLD
        else file
        for file in read_chain(sealed.store)
    ]
    write_manifest(sealed, lines)
    sealed.warehouse_path.unlink()
    sealed.load(full=True)
    rewrite(sealed, {"tracking_events": "user_id = 1 OR ip_hash = 'x'"})
    assert "ip_hash" not in pl.read_parquet_schema(sealed.archive / NEW)
    assert pl.read_parquet(sealed.archive / NEW).height == 9
    assert faults(sealed) == []


def test_days_in_a_bucket_are_rewritten_likewise(s3_home: Home) -> None:
    before = s3_home.sources()
    s3_home.seal()
    assert {one.removed_row_count for one in rewrite(s3_home)} == {1, 3}
    assert s3_home.sources() == without(before, f"{TODAY}")
    assert NEW in s3_home.store.listing()
    assert OLD not in s3_home.store.listing()
    assert faults(s3_home) == []
    s3_home.warehouse_path.unlink()
    s3_home.load(full=True)
    assert s3_home.sources() == before


def test_day_that_postgres_has_whole_does_not_expire(aged_home: Home) -> None:
    rewrite(aged_home, {"tracking_events": f"user_id = 1 AND received_at < '{DAY}'"})
    expiry = expire_now(aged_home)
    assert {(one.table, one.day) for one in expiry.stays} == {("tracking_events", day) for day in (OLDER, OLD_DAY)}
    assert "Postgres has 12 rows" in str(expiry.stays[0])
    assert "its sealed files 9 rows" in str(expiry.stays[0])
    with psycopg.connect(aged_home.database_url, autocommit=True) as connection:
        connection.execute(f"DELETE FROM tracking_events WHERE user_id = 1 AND received_at < '{DAY}'".encode())
    assert gone(expire_now(aged_home)) == [("tracking_events", day) for day in (OLDER, OLD_DAY)]


def test_file_that_does_not_add_up_replaces_nothing(
    sealed: Home, before: dict[str, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row more is lost on the way to the disk than should go."""

    def write_less(connection: duckdb.DuckDBPyConnection, split: Split, path: Path, reason: str) -> None:
        write_staying(connection, replace(split, condition=f"{split.condition} OR user_id = 2"), path, reason)

    monkeypatch.setattr(rewrite_module, "write_staying", write_less)
    with pytest.raises(RewriteFailed, match=r"7 rows stay and 3 go, 12 were sealed"):
        rewrite(sealed, {"tracking_events": "user_id = 1"})
    assert sealed.sources() == before
    assert not list(sealed.archive.rglob("*.v1.*"))


def test_verify_beside_a_rewrite_finds_no_fault(sealed: Home) -> None:
    findings = verify_files(sealed.store)
    first = next(findings)
    rewrite(sealed)
    assert [finding.fault for finding in [first, *findings]] == [None] * 4
