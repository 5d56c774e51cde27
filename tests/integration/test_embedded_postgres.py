"""The embedded server's start, where another process started it and it is not ready yet."""

import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import psycopg
import pytest

from footfall.errors import EmbeddedPostgresFailed
from footfall.postgres import embedded_postgres, running_url, start_server


@pytest.fixture
def folder() -> Iterator[Path]:
    """The folder of a server that runs."""
    with TemporaryDirectory(prefix="footfall-") as name:
        folder = Path(name) / "postgres"
        with embedded_postgres(folder):
            yield folder


@pytest.mark.parametrize("state", ["starting", "stopping", None])
def test_start_waits_for_a_server_not_ready(folder: Path, state: str | None) -> None:
    pid_file = folder / "postmaster.pid"
    ready = pid_file.read_text()
    # the last of its lines is the state, and it comes last
    pid_file.write_text("\n".join([*ready.splitlines()[:-1], *([f"{state}"] if state else [])]) + "\n")
    soon = threading.Timer(0.5, pid_file.write_text, [ready])
    soon.start()
    start_server(folder)
    assert pid_file.read_text() == ready, "it returned before the server was ready"
    soon.join()
    psycopg.connect(running_url(folder) or "").close()


def test_server_never_ready_is_named_in_one_line(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("footfall.postgres.START_SECONDS", 0.3)
    pid_file = folder / "postmaster.pid"
    ready = pid_file.read_text()
    pid_file.write_text(ready.replace("ready", "starting"))
    try:
        with pytest.raises(EmbeddedPostgresFailed, match="it was not ready within"):
            start_server(folder)
    finally:
        pid_file.write_text(ready)
