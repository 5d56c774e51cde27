"""Sealed days in an S3 bucket: the same rows as from a folder, and half an upload is never taken for a whole."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from footfall.commands.archive import app
from tests.integration.archive.sealing import DAY, OTHER_DAY, Home, part
from tests.s3_server import BUCKET, OWNER, S3Server
from warehouse.archive.address import read_s3_address
from warehouse.archive.errors import FilesNotNamed, SealedFileDamaged
from warehouse.archive.s3 import S3Archive
from warehouse.archive.s3_reader import SealedFiles
from warehouse.archive.sources import prepare_sources
from warehouse.archive.store import open_archive

SEALED = [part(table, day) for table in ("activity_events", "tracking_events") for day in (OTHER_DAY, DAY)]
FILE = part("tracking_events", DAY)

UPLOAD = """
import sys
from pathlib import Path
from warehouse.archive.store import open_archive

address, warehouse_path, name = sys.argv[1:]
open_archive(address, Path(warehouse_path)).put_in_place(name)
"""


def path_of(home: Home, name: str) -> str:
    """What S3 calls a file."""
    return home.store.url(name).removeprefix("s3://")


def cut(s3: S3Server, path: str) -> None:
    """Put the first hundred bytes of an object in its place."""
    content = s3.files.open_input_stream(path).read(100)
    with s3.files.open_output_stream(path) as stream:
        stream.write(content)


def footfall_archive(command: str, home: Home, monkeypatch: pytest.MonkeyPatch) -> Result:
    monkeypatch.setenv("FOOTFALL_ARCHIVE", home.archive_address or "")
    return CliRunner().invoke(app, [command, "--home", str(home.folder)], env={"COLUMNS": "300"})


def test_days_sealed_in_a_bucket_read_as_before(s3_home: Home) -> None:
    before = s3_home.sources()
    assert s3_home.seal() == SEALED
    assert s3_home.sources() == before
    assert s3_home.hot_count() == 12
    assert set(s3_home.store.listing()) == {"manifest.jsonl", *SEALED}
    # nothing of it stays on the local disk
    assert not s3_home.archive.exists()
    assert [path for path in (s3_home.folder / "archive-staging").rglob("*") if path.is_file()] == []


def test_warehouse_holds_no_way_into_the_bucket(s3_home: Home, s3: S3Server) -> None:
    s3_home.seal()
    content = s3_home.warehouse_path.read_bytes()
    assert f"s3://{BUCKET}/tests/".encode() in content
    for secret in (*OWNER.values(), f"127.0.0.1:{s3.port}"):
        assert secret.encode() not in content


def test_deleted_warehouse_comes_back_from_the_bucket(s3_home: Home) -> None:
    before = s3_home.sources()
    s3_home.seal()
    s3_home.warehouse_path.unlink()
    s3_home.load(full=True)
    assert s3_home.sources() == before
    assert s3_home.hot_count() == 12
    assert s3_home.seal() == []


def test_refresh_asks_once_for_all_files(s3_home: Home, s3: S3Server) -> None:
    s3_home.seal()
    prepare_sources(s3_home.warehouse_path, s3_home.archive_address)
    before = s3.request_counts()
    prepare_sources(s3_home.warehouse_path, s3_home.archive_address)
    asked = {kind: count - before.get(kind, 0) for kind, count in s3.request_counts().items()}
    # the manifest, and the first file of each of the two views
    assert {kind: count for kind, count in asked.items() if count} == {"LIST": 1, "GET": 3}


@pytest.mark.parametrize(
    ("lost", "told"), [(True, "is missing"), (False, "has 100 bytes, not")], ids=["missing", "cut"]
)
def test_damaged_object_stops_models_and_verify(
    s3_home: Home, s3: S3Server, monkeypatch: pytest.MonkeyPatch, lost: bool, told: str
) -> None:
    s3_home.seal()
    if lost:
        s3_home.store.remove(FILE)
    else:
        cut(s3, path_of(s3_home, FILE))
    with pytest.raises(SealedFileDamaged, match=rf"s3://{BUCKET}/.*/part-0\.parquet {told}"):
        prepare_sources(s3_home.warehouse_path, s3_home.archive_address)
    verified = footfall_archive("verify", s3_home, monkeypatch)
    assert verified.exit_code == 1
    assert f"{FILE} {told}" in verified.output


def test_changed_object_is_found_by_verify(s3_home: Home, s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    s3_home.seal()
    path = path_of(s3_home, FILE)
    content = bytearray(s3.files.open_input_stream(path).read())
    content[len(content) // 2] ^= 1
    with s3.files.open_output_stream(path) as stream:
        stream.write(bytes(content))
    verified = footfall_archive("verify", s3_home, monkeypatch)
    assert verified.exit_code == 1
    assert f"{FILE} its content has changed" in verified.output


def test_archive_in_a_bucket_is_listed_and_verified(s3_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert footfall_archive("list", s3_home, monkeypatch).output == "no day is sealed yet\n"
    s3_home.seal()
    assert footfall_archive("list", s3_home, monkeypatch).output.count("sealed") == len(SEALED)
    verified = footfall_archive("verify", s3_home, monkeypatch)
    assert (verified.exit_code, "4 files are as they were sealed: 32 rows" in verified.output) == (0, True)


def test_threads_that_share_a_file_read_their_own_bytes(s3_home: Home) -> None:
    """DuckDB's do, and a wrong byte of a footer is the least that follows."""
    content = os.urandom(2_000_000)
    s3_home.store.staging("any").write_bytes(content)
    s3_home.store.put_in_place("any")
    archive = S3Archive(read_s3_address(str(s3_home.archive_address)), s3_home.folder)
    file = SealedFiles(archive).open(archive.url("any"))

    def read(offset: int) -> bytes:
        file.seek(offset)
        return file.read(1_000)

    file.seek(1_000_000)
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(read, 5_000).result() == content[5_000:6_000]
    assert file.read(1_000) == content[1_000_000:1_001_000]


def test_killed_upload_leaves_no_file(s3_home: Home, s3: S3Server) -> None:
    """What it uploads comes through a pipe, so that it is killed while it waits for the rest of it."""
    os.mkfifo(s3_home.store.staging(FILE))
    command = [sys.executable, "-c", UPLOAD, str(s3_home.archive_address), str(s3_home.warehouse_path), FILE]
    with subprocess.Popen(command) as uploading, s3_home.store.staging(FILE).open("wb", buffering=0) as pipe:
        # S3 takes parts of no less than 5 MB; pyarrow's are of 10
        for _ in range(21):
            pipe.write(os.urandom(1_000_000))
        while not s3.uploads_under_way():
            assert uploading.poll() is None
        uploading.kill()
        uploading.wait()
    assert s3_home.store.listing() == {}
    assert s3_home.store.look(FILE) is None
    assert s3_home.seal() == SEALED


def test_object_that_an_upload_left_is_no_file(s3_home: Home, s3: S3Server) -> None:
    """An upload that an error ends is closed as if it were whole: it never has the file's own key."""
    s3.files.open_output_stream(path_of(s3_home, f"{FILE}.new")).close()
    assert s3_home.store.listing() == {}
    assert s3_home.seal() == SEALED
    assert s3.files.get_file_info(path_of(s3_home, f"{FILE}.new")).is_file is False


@pytest.mark.parametrize("kind", ["folder", "bucket"])
def test_files_of_others_stay_in_an_archive(home: Home, s3_home: Home, kind: str) -> None:
    """Somebody keeps more than the archive there; of one that was killed, all goes."""
    home = home if kind == "folder" else s3_home
    others = [f"photos/{FILE}", "reports/part-1.parquet", "photos/holiday.new", "tracking_events/notes.new"]
    others += ["photos/received_date=2026-01-01/part-0.parquet.new", "reports/manifest.jsonl.new"]
    ours = ["only-here/tracking_events-20260101T000000.parquet", f"{FILE}.unnamed-1", part("tracking_events", DAY, 7)]
    for name in [*others, *(f"{name}.new" for name in ours)]:
        home.store.staging(name).write_text("the only copy")
        home.store.put_in_place(name)
    assert home.store.unnamed_parts([]) == []
    home.store.remove_unfinished()
    assert [name for name in others if home.store.look(name) is None] == []
    assert [name for name in ours if home.store.look(f"{name}.new")] == []
    assert home.seal() == SEALED


def test_part_cut_short_before_its_seal_is_set_aside(s3_home: Home, s3: S3Server) -> None:
    with s3.files.open_output_stream(path_of(s3_home, FILE)) as stream:
        stream.write(b"PAR1 and no more")
    before = s3_home.sources()
    assert s3_home.seal() == SEALED
    assert s3_home.sources() == before
    assert any(name.startswith(f"{FILE}.unnamed-") for name in s3_home.store.listing())


def test_manifest_that_lost_lines_is_found_in_a_bucket(s3_home: Home) -> None:
    s3_home.seal()
    *lines, _ = (s3_home.store.read_text("manifest.jsonl") or "").splitlines(keepends=True)
    s3_home.store.staging("manifest.jsonl").write_text("".join(lines))
    s3_home.store.put_in_place("manifest.jsonl")
    s3_home.warehouse_path.unlink()
    with pytest.raises(FilesNotNamed, match=FILE):
        s3_home.load(full=True)


def test_moved_archive_is_read_where_it_is_now(s3_home: Home) -> None:
    """As `docs/retention.md` says it: the files, then the manifest, then the setting."""
    local = replace(s3_home, archive_address=None)
    before = local.sources()
    local.seal()
    target = s3_home.store
    for name in sorted(local.store.listing(), key=lambda name: name == "manifest.jsonl"):
        target.staging(name).write_bytes((local.archive / name).read_bytes())
        target.put_in_place(name)
    local.archive.rename(local.archive.with_name("moved-away"))
    assert s3_home.sources() == before
    assert s3_home.seal() == []


def test_archive_may_be_a_folder_elsewhere(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = replace(home, archive_address=str(tmp_path / "another disk" / "archive"))
    before = elsewhere.sources()
    assert elsewhere.seal() == SEALED
    assert elsewhere.sources() == before
    assert not elsewhere.archive.exists()
    assert (tmp_path / "another disk" / "archive" / FILE).exists()
    monkeypatch.chdir(tmp_path)
    relative = open_archive("another disk/archive", home.warehouse_path)
    assert relative.address == elsewhere.archive_address
