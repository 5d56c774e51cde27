"""What the tests of imports share: small files of every format, and one import of a file."""

import gzip
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import psycopg
from sqlalchemy import Engine

from footfall.importing.event_ids import EventIds
from footfall.importing.record_kinds import RecordKind
from footfall.importing.records import RecordFile
from footfall.importing.source import Source
from footfall.importing.weblog import WebLog
from footfall.importing.writing import Imported, write_file

Rows = Sequence[dict[str, Any]]

ORG = "11111111-1111-4111-8111-111111111111"
DOCUMENT = {
    "user_type": "student",
    "level_name": "L1",
    "chapter_name": "C1",
    "document_name": "D1",
    "user_id": 7,
    "created_at": "2014-02-01T00:00:00Z",
}
EVENT = {
    "user_type": "guest",
    "app_name": "site",
    "event_type": "button",
    "event_name": "save, and close",
    "meta": {"step": 2},
    "created_at": "2014-02-01T02:00:00+02:00",
}


FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:99.0) Gecko/20100101 Firefox/99.0"


def log_lines(count: int, first: int = 0) -> str:
    """A visit a second, each fourth of a bot."""
    return "".join(
        f"203.0.113.{n % 3} - - [20/Feb/2016:{n // 3600:02}:{n // 60 % 60:02}:{n % 60:02} +0000] "
        f'"GET /page/{n % 10}?n={n} HTTP/1.1" 200 5 "-" "{"Googlebot/2.1" if n % 4 == 0 else FIREFOX}"\n'
        for n in range(first, first + count)
    )


def a_log(folder: Path, content: str | bytes) -> WebLog:
    path = folder / "access.log"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return WebLog(path, "site", "secret")


def a_file(path: Path, rows: Rows) -> Path:
    """Write rows in the format that the name of `path` tells; all rows have the columns of the first."""
    name = path.name.removesuffix(".gz")
    if name.endswith(".parquet"):
        times = pl.col("created_at").str.to_datetime(time_zone="UTC", time_unit="us")
        frame = pl.DataFrame(list(rows), infer_schema_length=None)
        frame.with_columns(times).write_parquet(path)
        return path
    if name.endswith(".csv"):
        cells = [{k: json.dumps(v) if isinstance(v, dict) else v for k, v in row.items()} for row in rows]
        content = pl.DataFrame(cells, infer_schema_length=None).write_csv()
    else:
        content = "".join(json.dumps(row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode())
    return path


def a_source(path: Path, rows: Rows, kind: str = "documents", ids: EventIds | None = None) -> RecordFile:
    return RecordFile(a_file(path, rows), RecordKind(kind), ids or EventIds(), datetime.now(UTC))


def write(engine: Engine, source: Source) -> Imported:
    source.check()
    return write_file(engine, source, lambda share: None)


def rows_in(database: psycopg.Connection, table: str) -> int:
    (count,) = database.execute(f"SELECT count(*) FROM {table}").fetchone() or (0,)
    return int(count)
