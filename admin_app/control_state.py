"""What the controls show and change in Postgres, for the API and the page alike. Each rule is the write side's own.

No HTTP here. A change and its row in the audit log are one transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, insert, text

from admin_app.errors import ChangedMeanwhile
from admin_app.queries import controls_query
from ingest_app.admin_settings import RULES, read_settings, set_setting
from ingest_app.drain.rejected import retry_rejected
from ingest_app.schema import admin_audit_log

# as the check `nothing_is_overdue` has it: a nightly job has failed twice by then
GRACE_DAYS = 2


@dataclass(frozen=True, slots=True)
class Setting:
    """A setting with its rule, and who set it last; `value` is None where somebody deleted its row."""

    key: str
    value: str | None
    default: str
    meaning: str
    allowed: str
    is_switch: bool
    changed_at: datetime | None
    changed_by: str | None
    changed_from: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """What a setting was and is."""

    key: str
    old: str | None
    new: str


@dataclass(frozen=True, slots=True)
class HotDays:
    """The days of an event table that are in Postgres, and how many of them should have left it."""

    table_name: str
    day_count: int
    oldest_date: date
    overdue_count: int


@dataclass(frozen=True, slots=True)
class Retention:
    """What leaves by itself and how far it came; days are UTC days of receipt."""

    archive_after_days: int
    hot_days: tuple[HotDays, ...]
    forget_visitors_after_days: int
    visitor_seen_at: datetime | None
    ended_session_count: int

    @property
    def overdue_day_count(self) -> int:
        """Return how many days should have left Postgres, over all tables."""
        return sum(table.overdue_count for table in self.hot_days)

    def has_overdue_visitors(self, now: datetime) -> bool:
        """Tell whether a visitor is still known who should be forgotten."""
        kept = timedelta(days=self.forget_visitors_after_days + GRACE_DAYS)
        return self.visitor_seen_at is not None and self.visitor_seen_at < now.astimezone(UTC) - kept


def list_settings(connection: Connection) -> list[Setting]:
    """Return every setting there is, the kill switches first."""
    stored = read_settings(connection)
    changes = {row.key: row for row in connection.execute(text(controls_query("last_changes")))}
    found = [_setting(key, stored.get(key), changes.get(key)) for key in RULES]
    return sorted(found, key=lambda setting: not setting.is_switch)


def change_settings(
    connection: Connection, wanted: Mapping[str, str], actor: str, shown: Mapping[str, str | None] | None = None
) -> list[Change]:
    """Set all of `wanted` or none, and return what changed; `shown` is what somebody saw before they decided.

    Raises UnknownSetting, SettingValueRefused, and ChangedMeanwhile where neither what was shown stands nor what is
    wanted: a form that is sent twice finds what it has set itself.
    """
    changes = []
    # in one order: two who set the same ones at once do not wait for each other in a circle
    for key in sorted(wanted):
        old = set_setting(connection, key, wanted[key], actor)
        if shown is not None and old not in (shown.get(key), wanted[key]):
            raise ChangedMeanwhile(key, old)
        if old != wanted[key]:
            changes.append(Change(key, old, wanted[key]))
    return changes


def read_retention(connection: Connection) -> Retention:
    """Return what is known in Postgres; which days are sealed is in the archive, which is not read here."""
    stored = read_settings(connection)
    days = _number(stored, "archive_after_days")
    hot = connection.execute(text(controls_query("hot_days")), {"archive_after_days": days, "grace_days": GRACE_DAYS})
    timeout = {"timeout_minutes": _number(stored, "live_session_timeout_minutes")}
    oldest = connection.execute(text(controls_query("oldest_people")), timeout).one()
    return Retention(
        archive_after_days=days,
        hot_days=tuple(HotDays(**row._asdict()) for row in hot),
        forget_visitors_after_days=_number(stored, "forget_visitors_after_days"),
        visitor_seen_at=oldest.visitor_seen_at,
        ended_session_count=oldest.ended_session_count,
    )


def list_audit(connection: Connection, limit: int, before: int | None = None) -> Sequence[Row[Any]]:
    """Return entries of the audit log, the newest first: id, created_at, actor, action, subject, detail."""
    return connection.execute(text(controls_query("audit_log")), {"limit": limit, "before": before}).all()


def list_rejected(connection: Connection, limit: int, before: int | None = None) -> Sequence[Row[Any]]:
    """Return rejected records, the newest first: id, rejected_at, kind, event_id, reason, body."""
    return connection.execute(text(controls_query("rejected_records")), {"limit": limit, "before": before}).all()


def count_rejected(connection: Connection) -> int:
    """Return how many records wait to be tried again."""
    return connection.execute(text(controls_query("rejected_count"))).scalar_one()


def retry(connection: Connection, ids: Sequence[int], actor: str) -> tuple[int, int]:
    """Try rejected records again; returns how many are in Postgres now and how many stay refused."""
    kept, stayed = retry_rejected(connection, ids)
    entry = {
        "actor": actor,
        "action": "rejected.retry",
        "subject": f"{len(ids)} records",
        "detail": {"ids": list(ids), "kept": kept, "stayed": stayed},
    }
    connection.execute(insert(admin_audit_log).values(entry))
    return kept, stayed


def _setting(key: str, value: str | None, change: Row[Any] | None) -> Setting:
    rule = RULES[key]
    return Setting(
        key=key,
        value=value,
        default=str(rule.default),
        meaning=rule.meaning,
        allowed=rule.allowed,
        is_switch=(rule.least, rule.most) == (0, 1),
        changed_at=change.created_at if change else None,
        changed_by=change.actor if change else None,
        changed_from=change.old_value if change else None,
    )


def _number(stored: Mapping[str, str], key: str) -> int:
    """Return a setting's number; who wrote past the rule gets the default, as the doctor tells."""
    value = stored.get(key, "")
    return int(value) if RULES[key].allows(value) else RULES[key].default
