"""One line of a web-server log (common or combined format) as values. No hashing, no database, no files.

Apache's `%h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"`, which nginx, lighttpd and Caddy write too.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from urllib.parse import urlsplit

# In quotes, the servers write a quote as \" (Apache) or \x22 (nginx), so a lone quote ends the field. After the
# user agent more fields may follow (combinedio, times); a line cut short inside a quoted field does not match.
# No part can match in two ways, so that a hostile line costs no more than a good one.
QUOTED = r'"(?P<{}>[^"\\]*(?:\\.[^"\\]*)*)"'
LINE = re.compile(
    r"(?P<ip>\S+) \S+ .*? \[(?P<time>[^\[\]]{26})\] "
    + QUOTED.format("request")
    + r" (?P<status>\d{3}) (?P<size>\d{1,18}|-)"
    + f"(?: {QUOTED.format('referrer')} {QUOTED.format('agent')}(?: .*)?)?"
)
TIME = re.compile(
    r"(?P<day>\d\d)/(?P<month>[A-Z][a-z]{2})/(?P<year>\d{4}):(?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)"
    r" (?P<sign>[+-])(?P<offset_hours>\d\d)(?P<offset_minutes>\d\d)"
)
REQUEST = re.compile(r"(?P<method>[A-Z]{3,20}) (?P<target>\S.*?)(?: HTTP/[\d.]+)?")
# the query, also where a broken client has encoded its question mark, and the fragment
QUERY = re.compile(r"\?|%3f|#", re.IGNORECASE)
HOST_NAME = re.compile(r"[\w.-]{1,253}")
# not by strptime: it is slow, and `%b` follows the locale
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class UnreadableLine(ValueError):
    """The line is not of the format. The message says what is missing, and holds nothing of the line itself."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """What a line says. `path` is without query; `ip` and `agent` are for hashing only."""

    ip: str
    agent: str | None
    logged_at: datetime
    method: str
    path: str
    status: int
    size_bytes: int | None
    referrer_host: str | None


def parse(line: str) -> LogLine:
    """Read one line without its line end. Raises UnreadableLine."""
    found = LINE.fullmatch(line)
    if found is None:
        raise UnreadableLine('it is not like: host - user [time] "request" status bytes')
    request = REQUEST.fullmatch(found["request"])
    if request is None:
        raise UnreadableLine('its request is not like "GET /path HTTP/1.1"')
    return LogLine(
        ip=found["ip"],
        agent=None if found["agent"] in {None, "", "-"} else found["agent"],
        logged_at=_read_time(found["time"]),
        method=request["method"],
        path=_path(request["target"]),
        status=int(found["status"]),
        size_bytes=None if found["size"] == "-" else int(found["size"]),
        referrer_host=_referrer_host(found["referrer"] or ""),
    )


# lines of the same second follow each other
@lru_cache(maxsize=64)
def _read_time(text: str) -> datetime:
    found = TIME.fullmatch(text)
    if found is None or found["month"] not in MONTHS:
        raise UnreadableLine("its time is not like [20/Feb/2016:00:00:45 -0500]")
    year, day, hour, minute, second = (int(found[name]) for name in ("year", "day", "hour", "minute", "second"))
    month = MONTHS.index(found["month"]) + 1
    offset = timedelta(hours=int(found["offset_hours"]), minutes=int(found["offset_minutes"]))
    try:
        zone = timezone(-offset if found["sign"] == "-" else offset)
        # in UTC, as two times of one zone compare faster
        return datetime(year, month, day, hour, minute, second, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UnreadableLine("its time does not exist") from None


def _path(target: str) -> str:
    """Leave out the query, which may hold secrets, and of a proxy's `http://user@host/path` all but the path."""
    path = QUERY.split(target, maxsplit=1)[0]
    if path.startswith(("http://", "https://")):
        path = "/" + path.split("/", 3)[3] if path.count("/") > 2 else "/"
    return path or "/"


@lru_cache(maxsize=10_000)
def _referrer_host(referrer: str) -> str | None:
    """Take the host alone; an address is no host name, and it is somebody's."""
    try:
        host = urlsplit(referrer).hostname or ""
    except ValueError:
        return None
    return host if HOST_NAME.fullmatch(host) and not host.rpartition(".")[2].isdigit() else None
