"""`footfall archive list|verify`: what is sealed, and a line for each fault with what to do."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from footfall.commands.archive import app
from tests.integration.archive.sealing import DAY, Home, part
from tests.integration.archive.test_seal import flip_a_byte
from warehouse.archive.fingerprint import sha256_of
from warehouse.archive.manifest import read_manifest
from warehouse.writer import writer_lock

FILE = part("tracking_events", DAY)


def footfall_archive(command: str, home: Home) -> Result:
    return CliRunner().invoke(app, [command, "--home", str(home.folder)], env={"COLUMNS": "300"})


def change_a_line(manifest: Path) -> None:
    manifest.write_text(manifest.read_text().replace('"row_count":12', '"row_count":13', 1))


def spoil_a_byte(manifest: Path) -> None:
    content = bytearray(manifest.read_bytes())
    content[20] ^= 0x80
    manifest.write_bytes(bytes(content))


def drop_a_line(manifest: Path) -> None:
    first, _, *rest = manifest.read_text().splitlines(keepends=True)
    manifest.write_text("".join([first, *rest]))


def test_empty_archive_is_good_and_says_so(tmp_path: Path) -> None:
    home = Home(tmp_path, "")
    assert footfall_archive("list", home).output == "no day is sealed yet\n"
    verified = footfall_archive("verify", home)
    assert (verified.exit_code, verified.output) == (0, "0 files are as they were sealed: 0 rows, 0 bytes\n")


def test_list_names_every_sealed_file(home: Home) -> None:
    home.seal()
    (home.archive / FILE).unlink()
    lines = footfall_archive("list", home).output.splitlines()
    [line] = [line for line in lines if "tracking_events" in line and str(DAY) in line]
    file = next(file for file in read_manifest(home.store) if file.path == FILE)
    assert [cell.strip() for cell in line.strip("│").split("│")] == [
        str(DAY), "tracking_events", "0", "12", f"{file.byte_count:,}", file.digest, "is missing",
    ]  # fmt: skip
    assert sum("sealed" in line for line in lines) == 3


def test_untouched_archive_is_verified(home: Home) -> None:
    home.seal()
    verified = footfall_archive("verify", home)
    assert verified.exit_code == 0
    assert "4 files are as they were sealed: 32 rows" in verified.output


@pytest.mark.parametrize(
    ("damage", "damaged", "told"),
    [
        (Path.unlink, FILE, f"{FILE} is missing: put it back from a backup"),
        (flip_a_byte, FILE, f"{FILE} its content has changed since it was sealed (sha256)"),
        (change_a_line, "manifest.jsonl", "manifest.jsonl, line 3 it was changed"),
        (spoil_a_byte, "manifest.jsonl", "manifest.jsonl, line 1 it was changed"),
        (drop_a_line, "manifest.jsonl", "manifest.jsonl, line 2 the line before it is another or is missing"),
    ],
    ids=["missing", "changed", "manifest changed", "manifest spoilt", "manifest cut"],
)
def test_each_fault_is_named_and_exits_one(home: Home, damage: Callable[[Path], None], damaged: str, told: str) -> None:
    home.seal()
    damage(home.archive / damaged)
    verified = footfall_archive("verify", home)
    assert verified.exit_code == 1
    assert told in verified.output


def test_rows_are_counted_behind_a_right_hash(home: Home) -> None:
    """Whoever writes a file and its line of the manifest anew is found out by the digest of the rows."""
    home.seal()
    *before, last = read_manifest(home.store)
    lines = [file.line() for file in before]
    path = home.archive / last.path
    path.write_bytes((home.archive / before[-1].path).read_bytes())
    forged = replace(last, sha256=sha256_of(path), byte_count=path.stat().st_size)
    home.manifest.write_text("\n".join([*lines, forged.line(), ""]))
    verified = footfall_archive("verify", home)
    assert verified.exit_code == 1
    assert f"{last.path} has 12 rows of digest" in verified.output


def test_part_that_no_line_names_is_a_fault(home: Home) -> None:
    """The manifest of an older backup names less than there is, and is whole in itself."""
    home.seal()
    (home.archive / "tracking_events" / "notes.txt").write_text("an operator's own")
    *lines, _, _ = home.manifest.read_text().splitlines(keepends=True)
    unnamed = [file.path for file in read_manifest(home.store)][-2:]
    home.manifest.write_text("".join(lines))
    verified = footfall_archive("verify", home)
    assert verified.exit_code == 1
    assert verified.output.splitlines()[:2] == [
        f"{path} is in no line of manifest.jsonl: do not delete it; if the next refresh does not name it, "
        "lines are lost: put back the manifest from a backup"
        for path in sorted(unnamed)
    ]
    assert "notes.txt" not in verified.output


def test_no_part_is_looked_for_while_another_writes(home: Home) -> None:
    home.seal()
    home.manifest.unlink()
    with writer_lock(home.warehouse_path, purpose="seal"):
        verified = footfall_archive("verify", home)
    assert verified.exit_code == 0
    assert "were not looked for: another process writes" in verified.output


def test_files_kept_aside_are_named_and_read(home: Home) -> None:
    """In no manifest and in no report; a broken one is a fault all the same."""
    home.seal()
    aside, only_here = f"{FILE}.unnamed-20260101T000000", "only-here/tracking_events-20260101T000000.parquet"
    home.store.staging(only_here).write_bytes((home.archive / FILE).read_bytes())
    home.store.put_in_place(only_here)
    (home.archive / aside).write_bytes((home.archive / FILE).read_bytes())
    verified = footfall_archive("verify", home)
    assert verified.exit_code == 0
    for name in (aside, only_here):
        assert f"{name} is kept aside, in no report: 12 rows" in verified.output
    (home.archive / only_here).write_bytes(b"PAR1 and no more")
    verified = footfall_archive("verify", home)
    assert verified.exit_code == 1
    assert f"{only_here} is kept aside and cannot be read: " in verified.output
