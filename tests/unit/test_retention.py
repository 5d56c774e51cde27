"""The rules of retention as pure functions: what is due when, to the second, and what is an alarm."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ingest_app.admin_settings import RULES as ADMIN_SETTINGS
from warehouse.aged_files import AGED_FILES
from warehouse.aged_rows import AGED_ROWS
from warehouse.errors import SettingUnusable
from warehouse.retention import (
    ADVICE,
    DAY,
    GRACE,
    HOUSEKEEPING,
    RULES,
    Aged,
    Left,
    Setting,
    due,
    due_before,
    kept_for,
    outliving,
)

NOW = datetime(2031, 3, 1, 12, tzinfo=UTC)
TICK = timedelta(microseconds=1)
BY_NAME = {rule.name: rule for rule in RULES}
# by keepers of `pipelines`, of `housekeeping` itself, and by the archive's own check
KEPT_ELSEWHERE = {"dagster_runs", "spools", "events"}


def test_every_rule_that_removes_has_a_keeper() -> None:
    assert len(BY_NAME) == len(RULES)
    limited = {rule.name for rule in RULES if rule.keep is not None}
    assert limited == AGED_ROWS.keys() | AGED_FILES.keys() | KEPT_ELSEWHERE
    assert {rule.remover for rule in RULES if rule.keep is not None} == {*ADVICE, "expire"}
    assert {rule.remover for rule in RULES if rule.keep is None} == {"nobody"}


@pytest.mark.parametrize("rule", [rule for rule in RULES if isinstance(rule.keep, Setting)], ids=lambda rule: rule.name)
def test_settings_are_those_of_the_admin(rule: object) -> None:
    keep = getattr(rule, "keep")  # noqa: B009
    known = ADMIN_SETTINGS[keep.key]
    assert (keep.default, keep.least) == (known.default, known.least)


@pytest.mark.parametrize(
    ("stored", "days"), [({}, 395), ({"forget_visitors_after_days": "30"}, 30), ({"archive_after_days": "1"}, 395)]
)
def test_setting_says_how_long_visitors_are_kept(stored: dict[str, str], days: int) -> None:
    assert kept_for(BY_NAME["visitor_sessions"], stored) == days * DAY


@pytest.mark.parametrize("value", ["29", "0", "-1", "soon", "", "30.5", "٣٠٠", "99999999999"])
def test_unusable_setting_lets_nothing_be_due(value: str) -> None:
    with pytest.raises(SettingUnusable, match="forget_visitors_after_days"):
        due_before(BY_NAME["visitor_sessions"], {"forget_visitors_after_days": value}, NOW)


def test_what_is_kept_for_ever_is_never_due() -> None:
    rule = BY_NAME["admin_audit_log"]
    assert due_before(rule, {}, NOW) is None
    assert outliving([Left(rule, NOW - 40_000 * DAY)], {}, NOW) == []


def test_event_ids_wait_for_the_oldest_spool() -> None:
    rule, spool = BY_NAME["event_ids"], NOW - 3 * DAY
    assert due_before(rule, {}, NOW) == NOW - 8 * DAY
    assert due_before(rule, {}, NOW, spool) == spool - 8 * DAY
    assert due_before(rule, {}, NOW, NOW + DAY) == NOW - 8 * DAY, "a clock that goes ahead"
    assert due_before(BY_NAME["idempotency_keys"], {}, NOW, spool) == NOW - 30 * DAY


def test_files_are_due_from_the_oldest_on() -> None:
    files = [Aged(Path(str(days)), NOW - days * DAY) for days in (1, 3, 2)]
    assert [str(found.path) for found in due(files, NOW - DAY)] == ["3", "2"]


def test_alarm_comes_two_days_after_the_rule() -> None:
    rule = BY_NAME["rejected_records"]
    limit = NOW - 90 * DAY - GRACE
    lefts = [Left(rule, limit), Left(rule, limit - TICK), Left(rule, None)]
    assert outliving(lefts, {}, NOW) == [lefts[1]]
    assert str(lefts[1]) == f"rejected_records (kept for 90 days) go back to 2030-11-29: {ADVICE[HOUSEKEEPING]}"
