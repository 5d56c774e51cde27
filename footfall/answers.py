"""How an answer of the published file looks: a table for people, CSV, JSON or Parquet. No SQL of anybody here."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import TextIO

import duckdb
from rich.console import Console
from rich.table import Table
from rich.text import Text

from footfall.errors import AnswerNotWritten
from footfall.querying import refusing, rows

SHOWN_ROWS = 100
AS_TEXTS = "CAST(COLUMNS(*) AS VARCHAR)"
AS_JSON = "CAST(to_json(struct_pack(*COLUMNS(*))) AS VARCHAR)"

_QUOTED_IN_CSV = re.compile(r'^$|[",\r\n]|^\s|\s$')
# what apps sent is shown as it is, but may not steer the terminal
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_NUMBER = re.compile(r"U?(TINY|SMALL|BIG|HUGE)?INT(EGER)?|FLOAT|DOUBLE|DECIMAL.*")


class Format(StrEnum):
    """The forms of an answer."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    PARQUET = "parquet"


def write_text(answer: duckdb.DuckDBPyRelation, form: Format, file: TextIO) -> None:
    """Write the answer to an open file, in any form but Parquet. Raises QueryRefused."""
    {Format.TABLE: _write_table, Format.CSV: _write_csv, Format.JSON: _write_json}[form](answer, file)
    file.flush()


def write_parquet(answer: duckdb.DuckDBPyRelation, path: Path) -> None:
    """Write the answer to a new file. Raises QueryRefused.

    Parquet has no integers of 128 bits, as DuckDB's sums are: they become 64 bits, not a float.
    """
    distinct = answer.project("COLUMNS(*)")
    items = (
        f"CAST({name} AS BIGINT) AS {name}" if str(kind) == "HUGEINT" else name
        for name, kind in zip(map(_quoted, distinct.columns), distinct.types, strict=True)
    )
    with refusing():
        distinct.project(", ".join(items)).write_parquet(str(path), compression="zstd")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a path to write to, which becomes `path` when all is written; else `path` stays as it was.

    Raises AnswerNotWritten.
    """
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield made
        _fsync(made)
        os.replace(made, path)
    except OSError as error:
        raise AnswerNotWritten(path, error.strerror or str(error)) from error
    finally:
        made.unlink(missing_ok=True)


def require_writable(path: Path) -> Path:
    """Look before the query runs whether a file can be there; returns the path without links.

    Raises AnswerNotWritten.
    """
    resolved = path.resolve()
    if resolved.exists() and not resolved.is_file():
        raise AnswerNotWritten(path, "it is no file; without -o the answer goes to the standard output")
    if not os.access(resolved.parent, os.W_OK | os.X_OK):
        raise AnswerNotWritten(path, "its folder is not there or not writable")
    return resolved


def _write_table(answer: duckdb.DuckDBPyRelation, file: TextIO) -> None:
    columns = answer.project(AS_TEXTS).columns
    table = Table(header_style="bold")
    for name, kind in zip(columns, answer.types, strict=True):
        is_number = _NUMBER.fullmatch(str(kind)) is not None
        table.add_column(Text(_printable(name)), justify="right" if is_number else "left", overflow="fold")
    found = rows(answer.limit(SHOWN_ROWS + 1), AS_TEXTS)
    for row in islice(found, SHOWN_ROWS):
        table.add_row(*(Text("NULL", "dim") if value is None else Text(_printable(value)) for value in row))
    console = Console(file=file)
    if not console.is_terminal:
        # nobody's window: nothing is folded
        console = Console(file=file, width=100_000)
    console.print(table)
    if any(True for _ in found):
        console.print(f"the first {SHOWN_ROWS} rows; there are more: --format csv or -o FILE give all")
    else:
        console.print("1 row" if table.row_count == 1 else f"{table.row_count} rows")


def _write_csv(answer: duckdb.DuckDBPyRelation, file: TextIO) -> None:
    """Comma, header, quotes where needed; no value is nothing, an empty text is two quotes."""
    columns = answer.project(AS_TEXTS).columns
    file.write(",".join(map(_csv_field, columns)) + "\n")
    for row in rows(answer, AS_TEXTS):
        file.write(",".join(map(_csv_field, row)) + "\n")


def _write_json(answer: duckdb.DuckDBPyRelation, file: TextIO) -> None:
    """An array of objects, one a line."""
    before = "["
    for (row,) in rows(answer, AS_JSON):
        file.write(f"{before}\n{_standard_json(str(row))}")
        before = ","
    file.write("[]\n" if before == "[" else "\n]\n")


def _standard_json(row: str) -> str:
    """JSON has no word for what is not a number, or endless: null."""
    if "NaN" in row or "Infinity" in row:
        return json.dumps(json.loads(row, parse_constant=lambda _: None), ensure_ascii=False)
    return row


def _csv_field(value: str | None) -> str:
    if value is None:
        return ""
    return '"' + value.replace('"', '""') + '"' if _QUOTED_IN_CSV.search(value) else value


def _printable(text: str) -> str:
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _fsync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
