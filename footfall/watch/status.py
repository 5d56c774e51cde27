"""What `footfall status` says: the same look as the watcher's, and how many days are sealed. Nothing is judged here."""

from dataclasses import dataclass
from datetime import datetime

from footfall.settings import Settings
from footfall.watch.alerts import Alert
from footfall.watch.look import Ingest, Look, Postgres, Published, Spool, Unknown
from warehouse.archive.manifest import MANIFEST
from warehouse.archive.sealed_file import from_foreign_line
from warehouse.archive.store import open_archive
from warehouse.errors import WarehouseError, one_line

HOUR_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Status:
    """One screen: what was seen, what is sealed, what people were told of, and whether anybody watches."""

    look: Look
    sealed_day_count: int | Unknown
    alerts: tuple[Alert, ...]
    is_watched: bool

    def as_json(self) -> dict[str, object]:
        """Return it under names that stay; null is what could not be seen, and `unknown` says why."""
        look = self.look
        free = {disk.name: disk.free_bytes for disk in look.disks}
        return {
            "at": look.at.isoformat(),
            **_of_spool(look.spool),
            **_of_ingest(look.ingest),
            **_of_postgres(look),
            **_of_published(look),
            **_of_canary(look),
            "sealed_days": None if isinstance(self.sealed_day_count, Unknown) else self.sealed_day_count,
            "home_disk_free_bytes": free.get("home"),
            "archive_disk_free_bytes": free.get("archive"),
            "dagster_reported_at": None if isinstance(look.dagster, Unknown) else look.dagster.written_at.isoformat(),
            "is_watched": self.is_watched,
            "alerts": [
                {"kind": one.kind, "subject": one.subject, "sentence": one.sentence, "since": one.opened_at.isoformat()}
                for one in self.alerts
            ],
            "unknown": self.unknown(),
        }

    def unknown(self) -> dict[str, str]:
        """Say what could not be seen, and why."""
        parts = {
            "spool": self.look.spool,
            "ingest": self.look.ingest,
            "postgres": self.look.postgres,
            "published": self.look.published,
            "canary": self.look.sent,
            "dagster": self.look.dagster,
            "sealed_days": self.sealed_day_count,
        }
        return {name: part.reason for name, part in parts.items() if isinstance(part, Unknown)}


def count_sealed_days(settings: Settings) -> int | Unknown:
    """Count the days that have a sealed file, by the manifest alone."""
    try:
        text = open_archive(settings.archive_address, settings.warehouse_path).read_text(MANIFEST)
        return len({from_foreign_line(line).received_date for line in (text or "").splitlines()})
    except (WarehouseError, OSError) as error:
        return Unknown(f"the archive cannot be read: {one_line(error)}")
    except ValueError as error:
        return Unknown(f"a line of the archive's manifest is damaged: {error}")


def _of_spool(spool: Spool | Unknown) -> dict[str, object]:
    found = None if isinstance(spool, Unknown) else spool
    return {
        "spool_records": found and found.record_count,
        "spool_oldest_age_seconds": found and found.oldest_age_seconds,
        "spool_damaged_files": found and found.damaged_file_count,
    }


def _of_ingest(ingest: Ingest | Unknown) -> dict[str, object]:
    found = None if isinstance(ingest, Unknown) else ingest
    return {
        "is_ingest_ready": found is not None and not found.faults,
        "ingest_faults": found and list(found.faults),
        "drain_lag_seconds": found and found.drain_lag_seconds,
        "drained_at": _iso(found.drained_at if found else None),
    }


def _of_postgres(look: Look) -> dict[str, object]:
    found = None if isinstance(look.postgres, Unknown) else look.postgres
    this_hour, last_hour, per_minute = _rates(found, look.at)
    return {
        "is_postgres_reachable": found is not None,
        "is_tracking_enabled": look.is_tracking,
        "events_this_hour": this_hour,
        "events_last_hour": last_hour,
        "events_per_minute": per_minute,
        "last_event_at": _iso(found.last_human_at if found else None),
        "rejected_records_last_day": found and found.rejected_count,
        "hot_days": found and found.hot_day_count,
        "overdue_days": found and len(found.overdue_days),
    }


def _rates(postgres: Postgres | None, now: datetime) -> tuple[int | None, int | None, float | None]:
    """Return the events of people of this hour and the last one, and of both a minute."""
    if postgres is None:
        return None, None, None
    begin = now.replace(minute=0, second=0, microsecond=0)
    counts = {
        int((begin - hour).total_seconds() // HOUR_SECONDS): count for hour, count in postgres.human_counts.items()
    }
    this_hour, last_hour = counts.get(0, 0), counts.get(1, 0)
    minutes = ((now - begin).total_seconds() + HOUR_SECONDS) / 60
    return this_hour, last_hour, round((this_hour + last_hour) / minutes, 2)


def _of_published(look: Look) -> dict[str, object]:
    found = look.published if isinstance(look.published, Published) else None
    return {
        "refreshed_at": _iso(found.refreshed_at if found else None),
        "refresh_age_seconds": look.refresh_age_seconds,
        "load_lag_seconds": look.load_lag_seconds,
    }


def _of_canary(look: Look) -> dict[str, object]:
    sent = None if isinstance(look.sent, Unknown) else look.sent
    found = look.published if isinstance(look.published, Published) else None
    return {
        "canary_sent_at": _iso(sent.sent_at if sent else None),
        "canary_fault": (sent and sent.fault) or None,
        "canary_seen_at": _iso(found.canary_at if found else None),
        "canary_travel_seconds": found and found.canary_travel_seconds,
        "canary_age_seconds": look.canary_age_seconds,
    }


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
