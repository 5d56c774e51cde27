"""Which country an address is in, by a table on this machine. Only the lookup: a proxy's header is `__init__.py`'s.

The format is the one that Tor ships (Debian's package `tor-geoipdb`): text lines `low,high,CC` in order, both ends
within, for IPv4 as whole numbers (`16777216,16777471,AU`), for IPv6 as addresses (`2001:200::,2001:200:ffff::,JP`).
"""

import gzip
import io
import re
import socket
import zlib
from array import array
from bisect import bisect_left, bisect_right
from functools import cache
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import IO

from ingest_app.errors import CountryTableUnreadable

FILE_NAMES = ("geoip", "geoip6")
CODE = re.compile(r"[A-Z]{2}|\?\?")
# codes of two letters that name no country: unions, networks, and what ISO 3166 leaves to its users (but XK, Kosovo)
NO_COUNTRY = re.compile(r"\?\?|EU|AP|UN|AA|Q[M-Z]|X(?!K)[A-Z]|ZZ")
NOWHERE = 0


def read_country(code: str) -> str | None:
    """Return the code in capitals if it can be a country's, else None: `t1` (Tor), `XX`, `EU` and junk are none."""
    # ascii first: the capital of ß is SS, and that is South Sudan
    capitals = code.strip().upper() if code.isascii() else ""
    return capitals if CODE.fullmatch(capitals) and not NO_COUNTRY.fullmatch(capitals) else None


class CountryTable:
    """Two sorted tables of borders, 8 MB for the addresses of the world. It never changes, so threads may share it."""

    def __init__(self) -> None:
        self._v4, self._v6 = _Borders("H", 16), _Borders("Q", 64)

    @classmethod
    def read(cls, path: Path) -> "CountryTable":
        """Read a file, or `geoip` and `geoip6` of a folder, each plain or `.gz`. Raises CountryTableUnreadable."""
        table = cls()
        for file in _files_of(path):
            table._read_file(file)
        return table

    def country_of(self, ip: IPv4Address | IPv6Address) -> str | None:
        """Return two capital letters, or None where the table knows no country."""
        if isinstance(ip, IPv6Address):
            if ip.ipv4_mapped is None:
                return self._v6.country_of(int(ip))
            ip = ip.ipv4_mapped
        return self._v4.country_of(int(ip))

    def _read_file(self, path: Path) -> None:
        line_count = range_count = 0
        try:
            with _open(path) as lines:
                for line in lines:
                    line_count += 1  # an error names the line, so it must outlive the loop
                    if line.strip() and not line.startswith("#"):
                        self._append(line)
                        range_count += 1
        except UnicodeDecodeError as error:
            raise CountryTableUnreadable(path, "it is no text") from error
        except ValueError as error:
            raise CountryTableUnreadable(path, f"line {line_count}: {error}") from error
        except (OSError, EOFError, zlib.error) as error:
            raise CountryTableUnreadable(path, str(error)) from error
        if not range_count:
            raise CountryTableUnreadable(path, "it holds no line like 16777216,16777471,AU")

    def _append(self, line: str) -> None:
        parts = line.rstrip().split(",")
        if len(parts) != 3:
            raise ValueError(f"{line.rstrip()[:100]!r} is not like low,high,CC")
        low, high, code = parts
        if ":" in low:
            self._v6.append(_v6_address(low), _v6_address(high), _number_of(code))
        else:
            self._v4.append(_v4_address(low), _v4_address(high), _number_of(code))


class _Borders:
    """Where a country begins, sorted, and which: an address is cut in two halves, as no array takes 128 bits."""

    def __init__(self, typecode: str, half_bits: int) -> None:
        self._highs, self._lows, self._countries = array(typecode), array(typecode), array("H")
        self._half_bits, self._lower_half = half_bits, (1 << half_bits) - 1
        self._next, self._last = 0, -1

    def append(self, low: int, high: int, country: int) -> None:
        """Take the next range. Raises ValueError."""
        if not self._next <= low <= high:
            raise ValueError("the range ends before it begins, overlaps the last one, or is not in order")
        if low > self._next:
            self._begin(self._next, NOWHERE)
        self._begin(low, country)
        self._next = high + 1

    def country_of(self, address: int) -> str | None:
        if address >= self._next:
            return None
        high, low = self._halves(address)
        # equal upper halves lie side by side, and among them the lower halves are sorted
        after = bisect_right(self._highs, high)
        first = bisect_left(self._highs, high, 0, after)
        # the first border is 0, so there is one before any address
        code = self._countries[bisect_right(self._lows, low, first, after) - 1]
        return None if code == NOWHERE else code.to_bytes(2, "big").decode("ascii")

    def _begin(self, start: int, country: int) -> None:
        if country != self._last:
            high, low = self._halves(start)
            self._highs.append(high)
            self._lows.append(low)
            self._countries.append(country)
            self._last = country

    def _halves(self, address: int) -> tuple[int, int]:
        return address >> self._half_bits, address & self._lower_half


def _files_of(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return [_named(path, name) for name in FILE_NAMES]


def _named(folder: Path, name: str) -> Path:
    for file in (folder / name, folder / f"{name}.gz"):
        if file.exists():
            return file
    raise CountryTableUnreadable(folder, f"it holds neither {name} nor {name}.gz")


def _open(path: Path) -> IO[str]:
    if path.suffix != ".gz":
        return path.open(encoding="ascii")
    # buffered, as a gzip file is slow to read by the line
    return io.TextIOWrapper(io.BufferedReader(gzip.open(path)), encoding="ascii")


@cache
def _number_of(code: str) -> int:
    """Return the country as a number of two bytes. Raises ValueError."""
    if not CODE.fullmatch(code):
        raise ValueError(f"{code[:50]!r} is not a country's two capital letters, nor ??")
    return NOWHERE if NO_COUNTRY.fullmatch(code) else int.from_bytes(code.encode("ascii"), "big")


def _v4_address(text: str) -> int:
    if not (text.isdecimal() and len(text) <= 10 and (found := int(text)) < 1 << 32):
        raise ValueError(f"{text[:50]!r} is not an IPv4 address as a number")
    return found


def _v6_address(text: str) -> int:
    try:
        return int.from_bytes(socket.inet_pton(socket.AF_INET6, text), "big")
    except OSError:
        raise ValueError(f"{text[:50]!r} is not an IPv6 address") from None
