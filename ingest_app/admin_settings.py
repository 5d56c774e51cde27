"""What an operator may change while footfall runs: the kill switches and a few numbers, each with its rule.

A value is checked here, when it is set. Who obeys a setting reads the table `admin_settings` itself and does not
trust it: somebody may have written past this check. What is set by the environment stands in `settings.py`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from ingest_app.errors import SettingValueRefused, UnknownSetting
from ingest_app.schema import admin_audit_log, admin_settings

# one way to write each number: who reads the table need not know that " 7", "007" and "7_0" are numbers to Python
WHOLE_NUMBER = re.compile("0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Rule:
    """What a setting means and which whole numbers it may be; `default` is what the migration writes."""

    meaning: str
    default: int
    least: int
    most: int

    @property
    def allowed(self) -> str:
        """Say in words which values are allowed."""
        if (self.least, self.most) == (0, 1):
            return "0 or 1"
        return f"a whole number from {self.least} to {self.most}"

    def allows(self, value: str) -> bool:
        """Tell whether the value may be stored."""
        return WHOLE_NUMBER.fullmatch(value) is not None and self.least <= int(value) <= self.most


RULES: Mapping[str, Rule] = MappingProxyType(
    {
        "tracking_enabled": Rule("1: what apps send is kept; 0: it is dropped, answered 202", 1, 0, 1),
        "points_enabled": Rule("1: points and credits move; 0: every move is refused", 1, 0, 1),
        "live_session_timeout_minutes": Rule("how long after its last heartbeat someone counts as live", 5, 1, 1_440),
        "archive_after_days": Rule("how old an event gets in Postgres; no client may date one earlier", 90, 30, 36_500),
        "forget_visitors_after_days": Rule(
            "how long after its last visit a visitor's session is deleted; the visitor stays counted", 395, 30, 36_500
        ),
        "points_per_credit": Rule("how many points one credit costs", 100, 1, 1_000_000),
    }
)


def find_rule(key: str) -> Rule:
    """Return the rule of a setting. Raises UnknownSetting, which names the known ones."""
    try:
        return RULES[key]
    except KeyError:
        raise UnknownSetting(key, ", ".join(RULES)) from None


def check(key: str, value: str) -> None:
    """Raise UnknownSetting or SettingValueRefused unless this value may be stored under this key."""
    rule = find_rule(key)
    if not rule.allows(value):
        raise SettingValueRefused(key, value, rule.allowed)


def read_settings(connection: Connection) -> dict[str, str]:
    """Return what is stored, unchecked, by key; a key that somebody deleted is not in it."""
    rows = connection.execute(select(admin_settings.c.setting_key, admin_settings.c.setting_value))
    return {row.setting_key: row.setting_value for row in rows}


def set_setting(connection: Connection, key: str, value: str, actor: str) -> str | None:
    """Store a value, with a row in the audit log unless it is the old one; the transaction is the caller's.

    Returns the value before, None where there was none. Raises UnknownSetting, SettingValueRefused.
    """
    check(key, value)
    stored = select(admin_settings.c.setting_value).where(admin_settings.c.setting_key == key)
    # the lock: of two who set at once, the later one's audit row names the value of the earlier one as the old
    old: str | None = connection.execute(stored.with_for_update()).scalar_one_or_none()
    if old != value:
        row = {"setting_key": key, "setting_value": value}
        connection.execute(
            upsert(admin_settings).values(row).on_conflict_do_update(index_elements=["setting_key"], set_=row)
        )
        detail = {"old": old, "new": value}
        entry = {"actor": actor, "action": "settings.set", "subject": key, "detail": detail}
        connection.execute(insert(admin_audit_log).values(entry))
    return old
