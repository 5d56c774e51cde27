"""The manifest of rewritten files: its chain goes on, a full load takes it over, no only copy is a leftover."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import polars as pl
import pytest

from tests.integration.archive.rewriting import REASON, faults, rewrite
from tests.integration.archive.sealing import DAY, OTHER_DAY, Home, Rows, part
from tests.integration.archive.test_seal import flip_a_byte
from warehouse.archive.errors import FilesNotNamed, ManifestDamaged, SealedFileDamaged
from warehouse.archive.fingerprint import file_fingerprint, sha256_of
from warehouse.archive.manifest import manifest_lines, read_chain, read_manifest
from warehouse.archive.sealed_file import SealedFile, from_line
from warehouse.archive.verify import list_files, verify_files

OLD = part("tracking_events", DAY)
NEW = OLD.replace("part-0.", "part-0.v1.")


def write_manifest(home: Home, files: list[SealedFile]) -> None:
    """Write lines whose hashes are right."""
    chained: list[SealedFile] = []
    for file in files:
        chained.append(replace(file, previous_hash=chained[-1].hash if chained else file.previous_hash))
    home.manifest.write_text("".join(f"{file.line()}\n" for file in chained))


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


def test_older_warehouse_put_back_learns_of_the_rewrite(sealed: Home, before_rewrite: dict[str, Rows]) -> None:
    old_warehouse = sealed.warehouse_path.read_bytes()
    rewrite(sealed)
    after = read_chain(sealed.store)
    sealed.warehouse_path.write_bytes(old_warehouse)
    sealed.load(full=True)
    # the rows that Postgres still has are hot again, and no others
    assert sealed.sources() == before_rewrite
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


def test_file_of_an_older_footfall_keeps_its_columns(sealed: Home, before_rewrite: dict[str, Rows]) -> None:
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


def test_verify_beside_a_rewrite_finds_no_fault(sealed: Home) -> None:
    findings = verify_files(sealed.store)
    first = next(findings)
    rewrite(sealed)
    assert [finding.fault for finding in [first, *findings]] == [None] * 4
