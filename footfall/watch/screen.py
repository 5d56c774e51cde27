"""How `footfall status` prints a status for people: a line a subject, and what could not be seen with the reason."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from footfall.watch.measures import told
from footfall.watch.status import Status

UNKNOWN = "unknown"


def screen(status: Status) -> str:
    """Return the screen."""
    unknown = status.unknown()
    lines = [
        f"{name:<10} unknown: {unknown[part]}" if part in unknown else f"{name:<10} {words}"
        for part, name, words in _lines(status.as_json())
    ]
    now = status.look.at
    alerts = [
        f"  {one.kind}, for {told((now - one.opened_at).total_seconds())}: {one.sentence}" for one in status.alerts
    ]
    head = "open alerts:" if alerts else "no open alerts"
    silence = "" if status.is_watched else "; nobody watches: `footfall up` does, and logs/watch.log says why not"
    return "\n".join([*lines, "", head + silence, *alerts])


def _lines(found: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Give each line with the part of a look that it needs, and its name."""
    at = datetime.fromisoformat(found["at"])
    yield "ingest", "ingest", "ready" if found["is_ingest_ready"] else "; ".join(found["ingest_faults"] or ())
    if found["is_tracking_enabled"] is False:
        yield "", "tracking", "is switched off: what apps send is dropped (`footfall settings set tracking_enabled 1`)"
    yield (
        "postgres",
        "events",
        f"{_number(found['events_per_minute'])} a minute by people, {_number(found['events_this_hour'])} in this hour, "
        f"{_number(found['events_last_hour'])} in the one before; the last {_ago(found['last_event_at'], at)}",
    )
    yield (
        "spool",
        "spool",
        f"{_number(found['spool_records'])} records wait, the oldest for {_time(found['spool_oldest_age_seconds'])}; "
        f"{_number(found['spool_damaged_files'])} damaged files",
    )
    yield "ingest", "drain", f"lag {_time(found['drain_lag_seconds'])}; the last round {_ago(found['drained_at'], at)}"
    yield "published", "load", f"lag {_time(found['load_lag_seconds'])}"
    yield "published", "refresh", f"the last one {_ago(found['refreshed_at'], at)}"
    yield (
        "canary",
        "canary",
        f"the last one sent {_ago(found['canary_sent_at'], at)}{_in_brackets(found['canary_fault'])}; published "
        f"{_ago(found['canary_seen_at'], at)}, after {_time(found['canary_travel_seconds'])}",
    )
    yield "postgres", "hot days", _number(found["hot_days"])
    yield "sealed_days", "sealed", f"{_number(found['sealed_days'])} days"
    yield "postgres", "rejected", f"{_number(found['rejected_records_last_day'])} records within a day"
    yield "dagster", "dagster", f"reported {_ago(found['dagster_reported_at'], at)}"
    elsewhere = found["archive_disk_free_bytes"]
    in_archive = f", {_gigabytes(elsewhere)} in the archive" if elsewhere else ""
    yield "", "disk", f"{_gigabytes(found['home_disk_free_bytes'])} free in the home folder{in_archive}"


def _in_brackets(words: str | None) -> str:
    return f" ({words})" if words else ""


def _number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:,}"


def _time(seconds: float | None) -> str:
    return UNKNOWN if seconds is None else told(seconds)


def _ago(moment: str | None, now: datetime) -> str:
    return (
        "at no time known" if moment is None else f"{told((now - datetime.fromisoformat(moment)).total_seconds())} ago"
    )


def _gigabytes(count: int | None) -> str:
    return UNKNOWN if count is None else f"{count / 1e9:.1f} GB"
