"""Files of records as rows of named values: NDJSON, CSV, Parquet. What a valid record is, is not known here.

NDJSON and CSV are read line by line with their line numbers, NDJSON so that an absent field stays apart from a
null; Parquet by polars, in batches. A row that cannot be read as named values comes as a text that says why.
"""

import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import msgspec
import polars as pl
import polars.selectors as cs
from polars.exceptions import PolarsError

from footfall.importing.errors import FileUnreadable, UnknownFormat
from footfall.importing.files import open_text
from footfall.importing.source import ROWS_PER_BATCH
from ingest_app.decode import is_too_deep

Fields = dict[str, Any]


class FileRow(NamedTuple):
    """A row: its number in the file (a line's, or a row's of Parquet), its values, how much of the file lies behind."""

    number: int
    fields: Fields | str
    share_read: float


@dataclass(frozen=True, slots=True)
class Format:
    """A file format. `is_typed` says that a text is a text and never a number in digits or JSON."""

    read: Callable[[Path], Iterator[FileRow]]
    header: Callable[[Path], list[str]] | None
    is_typed: bool
    row_word: str


def format_of(path: Path) -> Format:
    """Tell the format by the ending of the name, `.gz` aside. Raises UnknownFormat."""
    name = path.name.lower().removesuffix(".gz")
    for ending, found in FORMATS.items():
        if name.endswith(ending):
            return found
    raise UnknownFormat(path, FORMATS)


def _read_ndjson(path: Path) -> Iterator[FileRow]:
    decoder = msgspec.json.Decoder(Fields)
    size = max(path.stat().st_size, 1)
    with open_text(path) as (text, raw):
        for number, line in enumerate(text, start=1):
            if line.isspace():
                continue
            yield FileRow(number, _decoded(decoder, line.encode()), raw.tell() / size)


def _decoded(decoder: "msgspec.json.Decoder[Fields]", line: bytes) -> Fields | str:
    """Decode a line, or say what is wrong with it."""
    if is_too_deep(line):
        return "it is nested too deeply"
    try:
        return decoder.decode(line)
    except msgspec.DecodeError as error:
        return f"it is no JSON object ({error})"


def _csv_header(path: Path) -> list[str]:
    with open_text(path) as (text, _):
        return next((cells for _, cells in _csv_rows(path, text)), [])


def _read_csv(path: Path) -> Iterator[FileRow]:
    """Read cells as texts; an empty cell is an absent value, for CSV has no other sign for it."""
    size = max(path.stat().st_size, 1)
    with open_text(path) as (text, raw):
        rows = _csv_rows(path, text)
        _, header = next(rows, (0, []))
        for number, cells in rows:
            fields: Fields | str = f"it has {len(cells)} cells, the header {len(header)}"
            if len(cells) == len(header):
                fields = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
            yield FileRow(number, fields, raw.tell() / size)


def _csv_rows(path: Path, text: IO[str]) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text, strict=True)
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise FileUnreadable(path, f"line {reader.line_num} is no CSV ({error})") from error


def _parquet_header(path: Path) -> list[str]:
    try:
        return _scan(path).collect_schema().names()
    except PolarsError as error:
        raise _no_parquet(path, error) from error


def _read_parquet(path: Path) -> Iterator[FileRow]:
    """Read typed values; a null is an absent value, as Parquet has every column in every row."""
    number = 0
    try:
        frame = _scan(path)
        row_count = frame.select(pl.len()).collect().item()
        for batch in frame.with_columns(*_TIMES_AS_TEXT).collect_batches(
            chunk_size=ROWS_PER_BATCH, maintain_order=True
        ):
            has_nulls = any(column.has_nulls() for column in batch)
            for fields in batch.rows(named=True):
                number += 1
                if has_nulls:
                    fields = {name: value for name, value in fields.items() if value is not None}
                yield FileRow(number, fields, number / row_count)
    except PolarsError as error:
        raise _no_parquet(path, error) from error


def _scan(path: Path) -> pl.LazyFrame:
    """Scan this one file: in a name such as `opens[1].parquet` the brackets are no pattern."""
    return pl.scan_parquet(path, glob=False)


def _no_parquet(path: Path, error: PolarsError) -> FileUnreadable:
    return FileUnreadable(path, f"it is no Parquet file, or a damaged one ({str(error).splitlines()[0]})")


# as texts, which cost a third of the objects that Python makes of a time with a zone
_TIMES_AS_TEXT = (
    cs.datetime(time_zone="*").dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%S%.6fZ"),
    cs.datetime(time_zone=None).dt.strftime("%Y-%m-%dT%H:%M:%S%.6f"),
)
_NDJSON = Format(_read_ndjson, None, is_typed=True, row_word="line")
_CSV = Format(_read_csv, _csv_header, is_typed=False, row_word="line")
_PARQUET = Format(_read_parquet, _parquet_header, is_typed=False, row_word="row")
FORMATS = {".ndjson": _NDJSON, ".jsonl": _NDJSON, ".json": _NDJSON, ".csv": _CSV, ".parquet": _PARQUET}
