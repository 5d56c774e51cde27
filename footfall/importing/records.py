"""A file of records as rows of its kind: columns checked first, then each record, as the HTTP endpoints do.

The file is taken whole or not at all: a record that is not valid refuses it, as history with holes misleads.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect, structs
from sqlalchemy import Connection

from footfall.importing.errors import ColumnsWrong, RecordsInvalid
from footfall.importing.event_ids import EventIds
from footfall.importing.files import require_readable
from footfall.importing.formats import Fields, FileRow, format_of
from footfall.importing.known import are_known
from footfall.importing.record_kinds import RecordKind
from footfall.importing.source import ROWS_PER_BATCH, Batch
from ingest_app.kinds import KINDS, Kind, Receipt, Row
from ingest_app.records import EventRecord, Record

# it tells how wrong a client's clock is at the moment of sending; in a file there is no such moment
LEFT_OUT = "sent_at"
FAULTS_SHOWN = 3
# digits of the largest bigint
LONGEST_NUMBER = 19


@dataclass(frozen=True, slots=True)
class RecordFile:
    """A file of records of one kind. `ids` are shared by the files of one import.

    A record without `event_id` gets one by its content, and the nth equal record of all the files its own: parts of
    one table may hold equal rows that are all meant. `received_at` stands in where `created_at` is absent.
    """

    path: Path
    kind_name: RecordKind
    ids: EventIds
    received_at: datetime

    def check(self) -> None:
        """Raise FileUnreadable, UnknownFormat, or ColumnsWrong, which names all wrong columns at once."""
        require_readable(self.path)
        file_format = format_of(self.path)
        if file_format.header is not None:
            kind = KINDS[self.kind_name]
            header = file_format.header(self.path)
            if faults := list(_column_faults(header, kind.record)):
                raise ColumnsWrong(self.path, kind.name, faults, _field_names(kind.record))

    def batches(self) -> Iterator[Batch]:
        """Read the file. Raises FileUnreadable and RecordsInvalid, which names the first rows that are wrong."""
        file_format = format_of(self.path)
        reader = _Reader(KINDS[self.kind_name], self.ids, self.received_at, file_format.is_typed)
        file_rows = file_format.read(self.path)
        while chunk := list(islice(file_rows, ROWS_PER_BATCH)):
            try:
                rows = reader.rows(chunk)
            except (msgspec.ValidationError, RecursionError):
                faults = [f"{file_format.row_word} {number}: {fault}" for number, fault in reader.faults(chunk)]
                shown = faults[:FAULTS_SHOWN] + ["…"] * (len(faults) > FAULTS_SHOWN)
                raise RecordsInvalid(self.path, shown) from None
            yield Batch(rows, len(rows), chunk[-1].share_read)

    def write(self, connection: Connection, batch: Batch) -> int:
        """Write the rows; for state, what is as it was is not written again and not counted."""
        kind = KINDS[self.kind_name]
        if kind.event_table and are_known(connection, kind.event_table, batch.rows):
            return 0
        return kind.write_rows(connection, batch.rows)


class _Reader:
    """Turns the rows of one file into rows of a table."""

    def __init__(self, kind: Kind, ids: EventIds, received_at: datetime, is_typed: bool) -> None:
        self._kind, self._ids = kind, ids
        # mypy takes no value for a type
        self._list_type: Any = list[kind.record]  # type: ignore[name-defined]
        self._prefix = f"{kind.name}\n".encode()
        self._receipt = Receipt(received_at)
        self._names = frozenset(_field_names(kind.record))
        self._untyped = {} if is_typed else _readers_of_cells(kind.record)

    def rows(self, chunk: Sequence[FileRow]) -> list[Row]:
        """Convert all at once, which is faster. Raises ValidationError or RecursionError, not saying of which row."""
        records = msgspec.convert([self._fields(file_row) for file_row in chunk], self._list_type)
        return [self._row(record) for record in records]

    def faults(self, chunk: Sequence[FileRow]) -> Iterator[tuple[int, str]]:
        """Yield the number of each wrong row and what is wrong with it."""
        for file_row in chunk:
            try:
                # in a list as in `rows`, for what is nested too deeply there must be so here
                (record,) = msgspec.convert([self._fields(file_row)], self._list_type)
                self._row(record)
            except RecursionError:
                yield file_row.number, "it is nested too deeply"
            except msgspec.ValidationError as error:
                yield file_row.number, str(error).replace("`$[0]", "`$")

    def _fields(self, file_row: FileRow) -> Fields:
        fields = file_row.fields
        if isinstance(fields, str):
            raise msgspec.ValidationError(fields)
        fields.pop(LEFT_OUT, None)
        if not self._names.issuperset(fields):
            raise msgspec.ValidationError(f"it has the unknown field {min(set(fields) - self._names)}")
        for name, read in self._untyped.items():
            if name in fields:
                fields[name] = read(fields[name])
        return fields

    def _row(self, record: Record) -> Row:
        if isinstance(record, EventRecord) and record.event_id is None:
            structs.force_setattr(record, "event_id", self._ids.id_of(self._prefix + _content(record)))
        return self._kind.to_row(record, self._receipt)


def _content(record: EventRecord) -> bytes:
    """Write a record so that equal ones read the same, whatever format and time zone they came in.

    What is not stated is left out, so that a field which records get one day changes no id.
    """
    if record.created_at is not None and record.created_at.tzinfo is not UTC:
        structs.force_setattr(record, "created_at", record.created_at.astimezone(UTC))
    stated = {name: value for name, value in structs.asdict(record).items() if value is not None}
    return msgspec.json.encode(stated, order="sorted")


def _field_names(record: type[Record]) -> list[str]:
    return [field.name for field in structs.fields(record) if field.name != LEFT_OUT]


def _column_faults(header: list[str], record: type[Record]) -> Iterator[str]:
    needed = [field.name for field in structs.fields(record) if field.required]
    known = {*_field_names(record), LEFT_OUT}
    if missing := [name for name in needed if name not in header]:
        yield f"column missing: {', '.join(missing)}"
    if unknown := [name for name in header if name not in known]:
        yield f"column unknown: {', '.join(unknown)}"
    if twice := sorted({name for name in header if header.count(name) > 1}):
        yield f"column twice: {', '.join(twice)}"


def _readers_of_cells(record: type[Record]) -> Mapping[str, Any]:
    """Say how to read the cells of a CSV or Parquet file for the fields that are no texts, ids or times."""
    found = {}
    info = inspect.type_info(record)
    for field in getattr(info, "fields", ()):
        types = field.type.types if isinstance(field.type, inspect.UnionType) else (field.type,)
        if any(isinstance(one, inspect.IntType) for one in types):
            found[field.name] = _whole_number
        elif any(isinstance(one, inspect.DictType) for one in types):
            found[field.name] = _json_object
    return found


def _whole_number(cell: object) -> object:
    """Read digits, and floats such as 5.0: a column of integers with gaps is one of floats in many tools."""
    if isinstance(cell, str) and cell.isascii() and cell.isdigit() and len(cell) <= LONGEST_NUMBER:
        return int(cell)
    return int(cell) if isinstance(cell, float) and cell.is_integer() else cell


def _json_object(cell: object) -> Fields | object:
    try:
        return msgspec.json.decode(cell) if isinstance(cell, str) else cell
    except (msgspec.DecodeError, RecursionError):
        return cell
