"""What a report may be asked: the parameters of an address as typed filters. What each one knows is `reports.py`."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from werkzeug.datastructures import MultiDict

from admin_app.errors import ParametersRefused

DEFAULT_LIMIT = 100
MOST_ROWS = 10_000
MOST_OFFSET = 10**9
MOST_CHARACTERS = 200
FORMATS = ("json", "csv")


@dataclass(frozen=True, slots=True)
class Filters:
    """What is asked of a report. None: not asked for; dates are whole days, both included."""

    from_date: date | None = None
    to_date: date | None = None
    app: str | None = None
    country: str | None = None
    level: str | None = None
    chapter: str | None = None
    by: tuple[str, ...] = ()
    limit: int | None = None
    offset: int = 0
    format: str = "json"


class _Refused(Exception):
    """Why a value cannot be."""


def read_filters(arguments: MultiDict[str, str], known: Collection[str], dimensions: Collection[str] = ()) -> Filters:
    """Read the parameters that are `known`; an empty one is as if it were not there.

    Raises ParametersRefused, which names all that are wrong.
    """
    faults: dict[str, str] = {}
    found: dict[str, Any] = {}
    readers: Mapping[str, Callable[[str], object]] = {**READERS, "by": lambda value: _dimensions(value, dimensions)}
    for name in arguments:
        values = arguments.getlist(name)
        if name not in known:
            faults[name] = f"not known here; known are {', '.join(known)}"
        elif len(values) > 1:
            faults[name] = "given more than once"
        elif values[0]:
            try:
                found[FIELDS.get(name, name)] = readers[name](values[0])
            except _Refused as error:
                faults[name] = str(error)
    if "from_date" in found and "to_date" in found and found["from_date"] > found["to_date"]:
        faults["from"] = "after to"
    if faults:
        raise ParametersRefused(faults)
    return Filters(**found)


def read_number(value: str, least: int, most: int) -> int | None:
    """Read a whole number; None where it is none of these. Python itself refuses to read one of thousands of digits."""
    is_short = value.isascii() and value.isdigit() and len(value) <= len(str(most))
    return int(value) if is_short and least <= int(value) <= most else None


def _date(value: str) -> date:
    try:
        day = date.fromisoformat(value)
        # it takes 20260131 and 2026-W05-6 too
        if str(day) == value:
            return day
    except ValueError:
        pass
    raise _Refused("a day like 2026-01-31")


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(value: str) -> int:
        if (number := read_number(value, least, most)) is None:
            raise _Refused(f"a whole number from {least} to {most}")
        return number

    return read


def _text(value: str) -> str:
    if len(value) > MOST_CHARACTERS or "\0" in value:
        raise _Refused(f"at most {MOST_CHARACTERS} characters, none of them NUL")
    return value


def _format(value: str) -> str:
    if value in FORMATS:
        return value
    raise _Refused("json or csv")


def _dimensions(value: str, dimensions: Collection[str]) -> tuple[str, ...]:
    names = tuple(value.split(","))
    if set(names) <= set(dimensions) and len(set(names)) == len(names):
        return names
    raise _Refused(f"some of {', '.join(dimensions)}, with commas between, each once")


READERS: Mapping[str, Callable[[str], object]] = {
    "from": _date,
    "to": _date,
    "app": _text,
    "country": _text,
    "level": _text,
    "chapter": _text,
    "format": _format,
    "limit": _number(1, MOST_ROWS),
    "offset": _number(0, MOST_OFFSET),
}
FIELDS = {"from": "from_date", "to": "to_date"}
