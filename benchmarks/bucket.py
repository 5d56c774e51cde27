"""What a refresh takes with its sealed days in an S3 bucket, beside a folder; and how often it asks the bucket.

The server runs on this machine, so an answer takes no time on the way: what a farther one adds is its delay for each
of the counted requests, of which DuckDB has several under way at once. SeaweedFS does not count HEAD: there is one
before each first GET of a file.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import psycopg
from rich.table import Table

from benchmarks.load import INSERT_EVENTS
from benchmarks.refresh import NEW_EVENTS, Refresh, make_bench
from tests.s3_server import OWNER, S3Server, s3_server

DAYS = 30
ROWS_A_DAY = 100_000
Line = tuple[str, str, Refresh, dict[str, int]]


def measure_bucket(database_url: str, folder: Path) -> Table:
    """Time, in turn, full rebuilds, refreshes with new events and with none."""
    (folder / "s3").mkdir()
    with s3_server(folder / "s3") as server:
        os.environ.update(OWNER)
        places = {"folder": None, "bucket": server.address("bench")}
        benches = {
            place: make_bench(database_url, folder / place, DAYS * ROWS_A_DAY, days=DAYS, archive_address=address)
            for place, address in places.items()
        }
        lines: list[Line] = []
        for what, new_events in (("full rebuild", 0), ("new events", NEW_EVENTS), ("nothing new", 0)):
            if new_events:
                with psycopg.connect(database_url, autocommit=True) as connection:
                    connection.execute(INSERT_EVENTS, [new_events])
            for place, bench in benches.items():
                before = server.request_counts()
                done = bench.refresh(full=what == "full rebuild")
                lines.append((what, place, done, _since(server, before)))
    return _table(lines)


def _since(server: S3Server, before: dict[str, int]) -> dict[str, int]:
    return {kind: count - before.get(kind, 0) for kind, count in server.request_counts().items()}


def _table(lines: Sequence[Line]) -> Table:
    table = Table(title=f"Refreshes, {DAYS} sealed days of {ROWS_A_DAY:,} events")
    for heading in ("", "sealed in a", "load s", "models s", "total s", "LIST", "GET"):
        table.add_column(heading, justify="left" if heading in {"", "sealed in a"} else "right")
    for what, place, done, asked in lines:
        seconds = (f"{step:.2f}" for step in (done.load, done.models, done.total))
        table.add_row(what, place, *seconds, *(str(asked.get(kind, 0)) for kind in ("LIST", "GET")))
    return table
