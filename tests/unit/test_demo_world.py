import hashlib
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from footfall.demo.live import LiveTraffic, still_there
from footfall.demo.places import BOT, DEVICES, Device
from footfall.demo.rhythm import is_weekend
from footfall.demo.schools import schools_known_between
from footfall.demo.subscriptions import Change
from footfall.demo.world import Batch, World
from ingest_app.kinds import KINDS
from ingest_app.privacy import read_user_agent

LAST_DAY = date(2026, 3, 31)
SEED = 2015

Record = dict[str, Any]


def all_of(world: World) -> Iterator[Batch]:
    """Yield everything, in the order in which it is sent."""
    yield from world.opening()
    for day in world.each_day():
        yield from world.batches_of(day)


@pytest.fixture(scope="module")
def history() -> list[Batch]:
    return list(all_of(World(SEED, 30, LAST_DAY)))


@pytest.fixture(scope="module")
def live() -> list[Batch]:
    traffic = LiveTraffic(SEED, LAST_DAY)
    return [batch for _ in range(30) for batch in traffic.next_round()]


def records_of(batches: list[Batch], kind: str, method: str = "POST") -> Iterator[Record]:
    return (record for batch in batches if (batch.method, batch.kind) == (method, kind) for record in batch.records)


def digest(seed: int, days: int = 3) -> str:
    batches = all_of(World(seed, days, LAST_DAY))
    body = b"".join(msgspec.json.encode([batch.endpoint, batch.records]) for batch in batches)
    return hashlib.sha256(body).hexdigest()


def test_same_seed_gives_the_same_bytes() -> None:
    assert digest(SEED) == digest(SEED)


def test_other_seed_gives_another_world() -> None:
    assert digest(SEED) != digest(SEED + 1)


def test_bytes_do_not_depend_on_the_process() -> None:
    code = f"from tests.unit.test_demo_world import digest; print(digest({SEED}))"
    told = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == digest(SEED)


@pytest.mark.parametrize("days_back", [0, 5])
def test_day_is_the_same_in_every_window(days_back: int) -> None:
    day = LAST_DAY - timedelta(days=days_back)
    assert list(World(SEED, 60, LAST_DAY).batches_of(day)) == list(World(SEED, 3, day).batches_of(day))


def test_history_uses_every_endpoint_for_the_past(history: list[Batch]) -> None:
    assert {batch.endpoint for batch in history} == {
        *(f"POST /api/{kind}" for kind in ("activity", "events", "documents")),
        *(f"PUT /api/{kind}" for kind in ("accounts", "organizations", "subscriptions", "users")),
        *(f"DELETE /api/{kind}" for kind in ("accounts", "users")),
    }


def test_live_traffic_uses_every_endpoint_of_browsers(live: list[Batch]) -> None:
    kinds = ("activity", "documents", "events", "heartbeat", "sessions/heartbeat", "track-visit")
    assert {batch.endpoint for batch in live} == {f"POST /api/{kind}" for kind in kinds}


@pytest.mark.parametrize("kind", list(KINDS))
def test_every_record_is_one_the_server_takes(kind: str, history: list[Batch], live: list[Batch]) -> None:
    records = [r for b in history + live if b.kind == kind and b.method != "DELETE" for r in b.records]
    assert records
    for record in records:
        # strict about unknown fields too: a misspelled one would be lost without a word
        assert set(record) <= set(KINDS[kind].record.__struct_fields__)
        msgspec.json.decode(msgspec.json.encode(record), type=KINDS[kind].record)


def test_no_batch_is_empty_or_over_a_thousand(history: list[Batch], live: list[Batch]) -> None:
    assert {1 <= len(batch.records) <= 1_000 for batch in history + live} == {True}


@pytest.mark.parametrize("kind", ["activity", "events", "documents"])
def test_event_ids_of_history_never_repeat(kind: str, history: list[Batch]) -> None:
    ids = [record["event_id"] for record in records_of(history, kind)]
    assert len(set(ids)) == len(ids) > 0


def test_what_happened_stays_within_the_window(history: list[Batch]) -> None:
    times = [r["created_at"] for kind in ("activity", "events", "documents") for r in records_of(history, kind)]
    first_day = World(SEED, 30, LAST_DAY).first_day
    assert f"{first_day}T00:00:00Z" <= min(times)
    assert max(times) <= f"{LAST_DAY}T23:59:59Z"


def test_a_month_is_fifteen_to_thirty_thousand_records(history: list[Batch]) -> None:
    assert 15_000 <= sum(len(batch.records) for batch in history) <= 30_000


def test_every_weekend_day_is_quieter_than_weekdays(history: list[Batch]) -> None:
    per_day = Counter(record["created_at"][:10] for record in records_of(history, "events"))
    weekend = [count for day, count in per_day.items() if is_weekend(date.fromisoformat(day))]
    weekdays = [count for day, count in per_day.items() if not is_weekend(date.fromisoformat(day))]
    assert max(weekend) < min(weekdays)


def test_german_students_sleep_at_night(history: list[Batch]) -> None:
    hours = [
        (datetime.fromisoformat(record["created_at"]).hour + 1) % 24
        for record in records_of(history, "events")
        if (record["country_code"], record["user_type"]) == ("DE", "student")
    ]
    assert sum(1 <= hour < 6 for hour in hours) < len(hours) / 50


def test_who_leaves_was_there_and_is_not_heard_of_again(history: list[Batch]) -> None:
    known: set[int] = set()
    left: set[int] = set()
    for batch in history:
        if batch.endpoint == "PUT /api/users":
            known |= {record["id"] for record in batch.records}
        elif batch.endpoint == "DELETE /api/users":
            left |= {record["id"] for record in batch.records}
            assert left <= known
        elif batch.endpoint == "POST /api/events":
            assert left.isdisjoint(record["user_id"] for record in batch.records)
    assert left


def test_subscriptions_start_renew_expire_and_are_cancelled(history: list[Batch]) -> None:
    told = list(records_of(history, "subscriptions", "PUT"))
    changes = [record for record in told if "started_at" not in record]
    assert {record["status"] for record in changes} == {"active", "expired", "cancelled"}
    first_day = World(SEED, 30, LAST_DAY).first_day.isoformat()
    assert max(record.get("started_at", "") for record in told) >= first_day


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32), last_day=st.dates(date(2010, 1, 1), date(2050, 1, 1)))
def test_active_subscription_is_renewed_before_it_ends(seed: int, last_day: date) -> None:
    for school in schools_known_between(seed, last_day, last_day):
        for changes in _by_subscription(school.changes).values():
            assert [change.day for change in changes] == sorted({change.day for change in changes})
            assert {"org_id", "plan", "duration", "started_at"} <= set(changes[0].record)
            for before, after in pairwise(changes):
                assert before.record["status"] == "active"
                assert after.record["updated_at"] <= before.record["ends_at"]


@pytest.mark.parametrize("device", [*DEVICES, BOT], ids=lambda device: f"{device.os} {device.device_type}")
def test_user_agent_tells_the_device_that_history_states(device: Device) -> None:
    told = read_user_agent(device.user_agent)
    assert (told.os, told.device_type, told.is_bot) == (device.os, device.device_type, device is BOT)


def test_live_crowd_is_the_same_for_a_seed_but_events_are_new() -> None:
    one, other = (list(LiveTraffic(SEED, LAST_DAY).next_round()) for _ in range(2))
    assert [_without_ids(batch) for batch in one] == [_without_ids(batch) for batch in other]
    assert _event_ids(one).isdisjoint(_event_ids(other))


def test_browsers_of_the_last_day_are_still_there(history: list[Batch]) -> None:
    there = list(still_there(World(SEED, 30, LAST_DAY)))
    last_day = [r for r in records_of(history, "events") if r["created_at"].startswith(LAST_DAY.isoformat())]
    users = {record["session_id"] for record in last_day if record["user_id"] is not None}
    assert sorted(r["session_id"] for r in records_of(there, "track-visit")) == sorted(
        {record["session_id"] for record in last_day}
    )
    assert sorted(r["session_id"] for r in records_of(there, "sessions/heartbeat")) == sorted(users)
    assert list(records_of(there, "heartbeat"))


def test_who_is_still_there_has_an_account_still(history: list[Batch]) -> None:
    accounts = {record["id"] for record in records_of(history, "accounts", "PUT")}
    left = {record["id"] for record in records_of(history, "accounts", "DELETE")}
    there = {record["user_id"] for record in records_of(list(still_there(World(SEED, 30, LAST_DAY))), "heartbeat")}
    assert there <= accounts - left


def test_bot_comes_by_with_its_own_user_agent() -> None:
    sent = list(LiveTraffic(SEED, LAST_DAY).next_round())
    assert {batch.kind for batch in sent if batch.user_agent == BOT.user_agent} == {"track-visit", "events"}
    assert len({batch.user_agent for batch in sent}) > 1


def _by_subscription(changes: tuple[Change, ...]) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = defaultdict(list)
    for change in changes:
        found[change.record["id"]].append(change)
    return found


def _event_ids(sent: list[Batch]) -> set[str]:
    return {record["event_id"] for batch in sent for record in batch.records if "event_id" in record}


def _without_ids(batch: Batch) -> tuple[str, list[Record]]:
    return batch.endpoint, [{k: v for k, v in record.items() if k != "event_id"} for record in batch.records]
