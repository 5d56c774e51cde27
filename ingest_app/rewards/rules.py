"""Earning rules as an operator sets them: which events earn how many points, and at most how many a day.

What an event earns by them when it is drained is `earning.py`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

from sqlalchemy import Connection, Row, func, insert, select, text
from sqlalchemy.dialects.postgresql import insert as upsert

from ingest_app.errors import RuleRefused
from ingest_app.records import Event
from ingest_app.schema import admin_audit_log, point_rules

EVENT_TYPES: tuple[str, ...] = get_args(Event.__annotations__["event_type"])
LONGEST_NAME = 100
MOST_POINTS = 2**31 - 1

# of two who set at once, the later one's audit row names the rule of the earlier one as the old, the first one too; the
# drainer reads on
_ONE_AT_A_TIME = text("LOCK TABLE point_rules IN SHARE ROW EXCLUSIVE MODE")


@dataclass(frozen=True, slots=True)
class Rule:
    """An event of this type and name earns its user `points`; in a UTC day `daily_cap` at most, None: without end."""

    event_type: str
    event_name: str
    points: int
    daily_cap: int | None = None
    active: bool = True

    @property
    def subject(self) -> str:
        """Name the rule by the events that it is about."""
        return f"{self.event_type} {self.event_name}"


def check(rule: Rule) -> None:
    """Raise RuleRefused, which names the field and what it may be, unless the rule may be stored."""
    if rule.event_type not in EVENT_TYPES:
        raise RuleRefused("event_type", rule.event_type, f"one of {', '.join(EVENT_TYPES)}")
    if not (1 <= len(rule.event_name) <= LONGEST_NAME and _is_storable(rule.event_name)):
        raise RuleRefused("event_name", rule.event_name, f"a text of 1 to {LONGEST_NAME} characters")
    if not 1 <= rule.points <= MOST_POINTS:
        raise RuleRefused("points", rule.points, f"a whole number from 1 to {MOST_POINTS}")
    if rule.daily_cap is not None and not rule.points <= rule.daily_cap <= MOST_POINTS:
        raise RuleRefused("daily_cap", rule.daily_cap, f"from {rule.points}, what one event earns, to {MOST_POINTS}")


def list_rules(connection: Connection) -> Sequence[Row[Any]]:
    """Return all rules, the inactive ones too: the columns of `point_rules`, by type and name."""
    return connection.execute(select(point_rules).order_by(point_rules.c.event_type, point_rules.c.event_name)).all()


def set_rule(connection: Connection, rule: Rule, actor: str) -> Rule | None:
    """Store a rule whole, with a row in the audit log unless it is the old one; the transaction is the caller's.

    Returns the rule before, None where there was none. Raises RuleRefused.
    """
    check(rule)
    connection.execute(_ONE_AT_A_TIME)
    old = _find(connection, rule.event_type, rule.event_name)
    if old != rule:
        # the row stays the same one, so that what was earned today counts towards the new cap
        connection.execute(
            upsert(point_rules)
            .values(asdict(rule))
            .on_conflict_do_update(
                index_elements=["event_type", "event_name"], set_={**_terms(rule), "updated_at": func.now()}
            )
        )
        _audit(connection, actor, "rules.set", rule.subject, {"old": old and _terms(old), "new": _terms(rule)})
    return old


def remove_rule(connection: Connection, event_type: str, event_name: str, actor: str) -> Rule | None:
    """Delete a rule, with a row in the audit log; what it gave stays. Returns it, None where there was none."""
    connection.execute(_ONE_AT_A_TIME)
    old = _find(connection, event_type, event_name) if _is_storable(event_name) else None
    if old is not None:
        c = point_rules.c
        connection.execute(point_rules.delete().where(c.event_type == event_type, c.event_name == event_name))
        _audit(connection, actor, "rules.remove", old.subject, {"old": _terms(old), "new": None})
    return old


def _find(connection: Connection, event_type: str, event_name: str) -> Rule | None:
    c = point_rules.c
    columns = (c.event_type, c.event_name, c.points, c.daily_cap, c.active)
    found = connection.execute(select(*columns).where(c.event_type == event_type, c.event_name == event_name)).first()
    return Rule(**found._mapping) if found else None


def _terms(rule: Rule) -> dict[str, int | bool | None]:
    return {"points": rule.points, "daily_cap": rule.daily_cap, "active": rule.active}


def _audit(connection: Connection, actor: str, action: str, subject: str, detail: dict[str, Any]) -> None:
    entry = {"actor": actor, "action": action, "subject": subject, "detail": detail}
    connection.execute(insert(admin_audit_log).values(entry))


def _is_storable(name: str) -> bool:
    """Tell whether Postgres has a place for it: not for a NUL, nor for half of a character that no terminal shows."""
    return "\0" not in name and name == name.encode(errors="ignore").decode()
