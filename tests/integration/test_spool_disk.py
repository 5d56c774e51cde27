"""The worker's side of the spool on a disk that is full, fails or is gone: what is refused, and what stays kept.

Real faults only: a limit, a small disk, a system call that answers an error. No Postgres.
"""

import platform
import subprocess
from contextlib import closing, suppress
from pathlib import Path

import msgspec
import pytest

from ingest_app.errors import SpoolFailed, SpoolFull
from ingest_app.spool import Spool
from ingest_app.spool.files import spools_in
from ingest_app.spool.reader import SpoolReader
from tests.integration.spools import a_part, read_parts, run_python

# a seccomp filter of this thread: fsync (74) and fdatasync (75) answer EIO, all else is allowed
FAIL_EVERY_FSYNC = """
import ctypes, errno, os, signal, struct, sys
from pathlib import Path
from ingest_app.errors import SpoolFailed
from ingest_app.spool import Spool
from tests.integration.spools import a_part
spool = Spool(Path(sys.argv[1]), 0)
spool.append(a_part("kept"))
print("kept")
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
filters = [(LOAD, 0, 0, 0), (EQUAL, 1, 0, 74), (EQUAL, 0, 1, 75), (RETURN, 0, 0, 0x50000 | errno.EIO),
           (RETURN, 0, 0, 0x7FFF0000)]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in filters))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(filters), ctypes.addressof(code)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program, 0, 0) == 0, os.strerror(ctypes.get_errno())
try:
    spool.append(a_part("refused"))
except SpoolFailed as error:
    print(error.reason)
os.kill(os.getpid(), signal.SIGKILL)
"""

FILL = """
import os, resource, signal, sys
from pathlib import Path
from ingest_app.errors import RequestRefused
from ingest_app.spool import Spool
from tests.integration.spools import a_part
folder = Path(sys.argv[1])
spool = Spool(folder, 0)
def append(number):
    try:
        spool.append(a_part(number, "." * 20_000))
    except RequestRefused as error:
        assert error.status == 503 and error.retry_after_seconds
        print(error.code)
    else:
        print(number)
"""

FILE_SIZE_LIMIT = f"""
{FILL}
for number in range(5):
    append(number)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
for number in range(5, 15):
    append(number)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
for number in range(15, 20):
    append(number)
os.kill(os.getpid(), signal.SIGKILL)
"""

FULL_DISK = f"""
{FILL}
(folder / "ballast").write_bytes(bytes(400_000))
for number in range(60):
    append(number)
(folder / "ballast").unlink()
for number in range(60, 65):
    append(number)
"""


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the filter names system calls by their x86-64 numbers")
def test_commit_whose_fsync_failed_stays_refused(tmp_path: Path) -> None:
    answers = _run(run_python(FAIL_EVERY_FSYNC, tmp_path))
    assert answers == ["kept", "disk I/O error"]
    # killed with the refused commit whole in its log, which SQLite takes for committed when it recovers
    [path] = spools_in(tmp_path)
    assert b"refused" in Path(f"{path}-wal").read_bytes()
    assert [part.rows for part in read_parts(path)] == [b'["kept"]']
    with closing(SpoolReader(path)) as reader:
        assert reader.last_seq() == 1
        assert [entry.seq for entry in reader.salvage()] == [1]


def test_file_that_cannot_grow_refuses_then_accepts_again(tmp_path: Path) -> None:
    answers = _run(run_python(FILE_SIZE_LIMIT, tmp_path))
    _assert_kept_are_the_accepted(answers, tmp_path)


def test_full_disk_refuses_then_accepts_again(tmp_path: Path) -> None:
    namespace = ("unshare", "--user", "--map-root-user", "--mount")
    mount = f"mount -t tmpfs -o size=1m none {tmp_path}"
    with suppress(FileNotFoundError):
        if subprocess.run([*namespace, "sh", "-c", mount], capture_output=True, check=False).returncode == 0:
            inside = ("sh", "-c", f'{mount} && "$@" && cp {tmp_path}/*.spool* {tmp_path}/*.lock {tmp_path}.out', "-")
            Path(f"{tmp_path}.out").mkdir()
            answers = _run(run_python(FULL_DISK, tmp_path, before=(*namespace, *inside)))
            assert "disk_full" in answers
            _assert_kept_are_the_accepted(answers, Path(f"{tmp_path}.out"))
            return
    pytest.skip("this user may not mount a small disk in a namespace of its own")


def test_nothing_is_accepted_below_the_reserve(tmp_path: Path) -> None:
    with closing(Spool(tmp_path, 2**62)) as spool:
        with pytest.raises(SpoolFull):
            spool.append(a_part("x"))
        with pytest.raises(SpoolFull):
            spool.probe()
    assert list(tmp_path.iterdir()) == []


def test_folder_that_is_gone_refuses_then_accepts_again(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    with closing(Spool(folder, 0)) as spool:
        with pytest.raises(SpoolFailed):
            spool.append(a_part("x"))
        folder.mkdir()
        spool.append(a_part("y"))
        assert [part.rows for path in spools_in(folder) for part in read_parts(path)] == [b'["y"]']


def _run(process: subprocess.Popen[str]) -> list[str]:
    output, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors, errors
    return output.split("\n")[:-1]


def _assert_kept_are_the_accepted(answers: list[str], folder: Path) -> None:
    """Answers are the number of each accepted part, or why one was refused."""
    accepted = [int(answer) for answer in answers if answer.isdigit()]
    refusals = [index for index, answer in enumerate(answers) if not answer.isdigit()]
    # accepted, then refused for a while, then accepted again
    assert 0 < refusals[0] <= refusals[-1] < len(answers) - 1
    kept = [msgspec.json.decode(part.rows)[0] for path in spools_in(folder) for part in read_parts(path)]
    assert sorted(kept) == accepted
