"""`/metrics` says what happened, for all processes of the node together, whoever answers and whoever died."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from ingest_app.database import make_engine
from ingest_app.drain.batch import Drained
from ingest_app.keys import create_key
from ingest_app.metrics import DrainMetrics
from tests.integration.conftest import Api
from tests.integration.node import Metrics, Node, read_metrics, running_node, wait_until
from tests.integration.spools import a_part, a_spool, an_event

EVENT = {"user_type": "guest", "app_name": "DViz", "event_type": "button", "event_name": "press"}
BOT = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"


def scrape(api: Api) -> Metrics:
    return read_metrics(api.client.get("/metrics").text)


@pytest.fixture
def key(database_url: str) -> str:
    engine = make_engine(database_url)
    with engine.begin() as connection:
        made = create_key(connection, "write")
    engine.dispose()
    return made


@pytest.fixture
def node(database_url: str, tmp_path: Path) -> Iterator[Node]:
    with running_node(database_url, tmp_path) as running:
        yield running


def test_requests_are_counted_by_endpoint_and_outcome(api: Api) -> None:
    for body in (EVENT, [EVENT, EVENT], {"user_type": "guest"}, b"{"):
        api.send("/api/events", body)
    api.client.post("/api/events", json=EVENT)
    found = scrape(api)["footfall_requests_total"]
    assert found[("events", "accepted")] == 2
    assert found[("events", "invalid_record")] == 2
    assert found[("events", "not_authenticated")] == 1


def test_accepted_and_invalid_records_are_counted(api: Api) -> None:
    api.send("/api/events", [EVENT, {}, EVENT, {}, {}])
    api.send("/api/heartbeat", {})
    found = scrape(api)
    assert found["footfall_records_accepted_total"] == {("events",): 2}
    assert found["footfall_records_dropped_total"] == {("events", "invalid"): 3, ("heartbeat", "invalid"): 1}


def test_dropped_bots_are_counted_as_such(api: Api) -> None:
    api.send("/api/track-visit", {"session_id": "6ec0bd7f-11c0-43da-975e-2a8ad9ebae0b"}, **{"User-Agent": BOT})
    found = scrape(api)
    assert found["footfall_records_dropped_total"] == {("track-visit", "bot"): 1}
    assert found["footfall_requests_total"][("track-visit", "bot")] == 1


def test_unknown_paths_share_one_label(api: Api) -> None:
    for number in range(20):
        api.client.get(f"/guessed/{number}")
    endpoints = {labels[0] for labels in scrape(api)["footfall_requests_total"]}
    assert endpoints == {"unknown"}


def test_duration_has_every_request(api: Api) -> None:
    for _ in range(3):
        api.send("/api/events", EVENT)
    found = scrape(api)
    assert found["footfall_request_duration_seconds_count"][("events",)] == 3
    assert 0 < found["footfall_request_duration_seconds_sum"][("events",)] < 10


def test_what_waits_on_disk_is_shown(api: Api) -> None:
    headers = {"Authorization": f"Bearer {api.keys['write']}"}
    api.client.post("/api/events", json=[EVENT] * 7, headers=headers)
    waiting = scrape(api)
    assert waiting["footfall_spool_records"][()] == 7
    assert waiting["footfall_spool_oldest_age_seconds"][()] > 0
    assert waiting["footfall_spool_disk_free_bytes"][()] > 0
    api.drain()
    drained = scrape(api)
    assert drained["footfall_spool_records"][()] == drained["footfall_spool_oldest_age_seconds"][()] == 0


def test_counts_are_published_by_themselves(api: Api) -> None:
    registry = api.client.application.extensions["footfall"].metrics.registry
    for _ in range(5):
        api.client.get("/healthz")
    labels = {"endpoint": "healthz", "outcome": "ok"}
    wait_until(lambda: registry.get_sample_value("footfall_requests_total", labels) == 5)


def test_absent_postgres_is_shown_as_unreachable() -> None:
    metrics = DrainMetrics()
    assert metrics.registry
    metrics.batch_written(Drained(records=1), 0.1, 0.0)
    assert metrics.registry.get_sample_value("footfall_drain_postgres_reachable") == 1
    metrics.round_failed(psycopg.OperationalError("connection refused"))
    assert metrics.registry.get_sample_value("footfall_drain_postgres_reachable") == 0
    assert metrics.registry.get_sample_value("footfall_drain_failures_total") == 1


def test_drain_lag_is_the_age_of_the_oldest() -> None:
    metrics = DrainMetrics()
    assert metrics.registry
    metrics.batch_written(Drained(records=1), 0.1, time.time() - 100)
    assert metrics.registry.get_sample_value("footfall_drain_lag_seconds") == pytest.approx(100, abs=5)
    metrics.round_ended(0)
    assert metrics.registry.get_sample_value("footfall_drain_lag_seconds") == 0


def test_workers_and_drainer_are_added_up(node: Node, key: str) -> None:
    a_spool(node.home / "spool", a_part(an_event(), an_event(user_type="a" * 4_000), an_event(user_type=None)))
    for _ in range(40):
        assert node.post("/api/events", [EVENT, EVENT], key).status_code == 202
    wait_until(lambda: node.metrics().get("footfall_drained_records_total") == {(): 83})
    wait_until(lambda: node.metrics()["footfall_records_accepted_total"][("events",)] == 80)
    shown = [node.metrics() for _ in range(10)]
    # each worker says the same
    assert {found["footfall_records_accepted_total"][("events",)] for found in shown} == {80}
    assert {found["footfall_request_duration_seconds_count"][("events",)] for found in shown} == {40}
    assert shown[0]["footfall_rejected_records_total"] == {(): 2}
    assert shown[0]["footfall_duplicate_records_total"] == {(): 0}
    batches = shown[0]["footfall_drain_batches_total"][()]
    assert shown[0]["footfall_drain_batch_duration_seconds_count"][()] == batches > 0
    assert shown[0]["footfall_drain_postgres_reachable"] == {(): 1}
    assert shown[0]["footfall_drain_lag_seconds"][()] < 10
    assert shown[0]["footfall_drain_last_success_timestamp_seconds"][()] > 1_700_000_000


def accepted(node: Node) -> float:
    return node.metrics().get("footfall_records_accepted_total", {}).get(("events",), 0)


def test_counters_outlive_killed_workers(node: Node, key: str) -> None:
    for _ in range(20):
        node.post("/api/events", EVENT, key)
    wait_until(lambda: accepted(node) == 20)
    before = node.worker_pids()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not set(node.worker_pids()) & set(before) and node.is_alive())
    node.post("/api/events", EVENT, key)
    wait_until(lambda: accepted(node) == 21)
    # those that came after took up the files of those that died
    files = {path.name for path in (node.home / "metrics").glob("counter_*.db")}
    assert files == {"counter_ingest0.db", "counter_ingest1.db", "counter_drainer0.db"}


def test_gauges_of_a_killed_drainer_go(node: Node, key: str) -> None:
    node.post("/api/events", EVENT, key)
    wait_until(lambda: "footfall_drain_postgres_reachable" in node.metrics())
    node.drainer.kill()
    node.drainer.wait()
    after = node.metrics()
    assert "footfall_drain_postgres_reachable" not in after
    assert "footfall_drain_last_success_timestamp_seconds" not in after
    assert after["footfall_drained_records_total"] == {(): 1}
