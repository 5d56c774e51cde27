"""Batches over HTTP: cut to size, sent again while the server is busy or away, and the answer held to account."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import requests

from footfall.demo.errors import IngestUnreachable, RecordsMiscounted, RecordsRefused
from footfall.demo.world import BATCH_LIMIT, Batch, Record

BODY_LIMIT_BYTES = 900_000
TIMEOUT_SECONDS = 30
ATTEMPTS = 8
FIRST_WAIT_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0
TRY_AGAIN = frozenset({429, 503})


@dataclass(frozen=True, slots=True)
class SentCounts:
    """How many records went to each endpoint, such as `POST /api/events`, and what became of them.

    `reasons`: the first reason why an endpoint dropped any.
    """

    sent: Counter[str] = field(default_factory=Counter)
    accepted: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    reasons: dict[str, str] = field(default_factory=dict)

    def note(self, endpoint: str, accepted: int, dropped: int, reason: str | None = None) -> None:
        """Count an answer; `reason` is why records were dropped, if the server says so."""
        self.sent[endpoint] += accepted + dropped
        self.accepted[endpoint] += accepted
        self.dropped[endpoint] += dropped
        if dropped and reason:
            self.reasons.setdefault(endpoint, reason)

    def __add__(self, other: "SentCounts") -> "SentCounts":
        return SentCounts(
            self.sent + other.sent,
            self.accepted + other.accepted,
            self.dropped + other.dropped,
            {**other.reasons, **self.reasons},
        )


class Poster:
    """Sends with one key over one kept connection and counts in `counts`.

    `wait(seconds)` is called between attempts: time.sleep, or a wait that returns True to give up. A record is sent
    again with the same `event_id`, so that it counts once however often it arrives.
    """

    def __init__(self, ingest_url: str, key: str, wait: Callable[[float], object] = time.sleep) -> None:
        self.counts = SentCounts()
        self._url = ingest_url.rstrip("/")
        self._wait = wait
        self._session = requests.Session()
        # a proxy of the environment cannot reach this machine's own address
        self._session.trust_env = False
        self._session.headers.update({"Authorization": f"Bearer {key}", "Content-Type": "application/json"})

    def __enter__(self) -> "Poster":
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def post(self, batch: Batch) -> None:
        """Send a batch. Raises IngestUnreachable, RecordsRefused or RecordsMiscounted."""
        headers = {"User-Agent": batch.user_agent} if batch.user_agent else {}
        if batch.method == "DELETE":
            for record in batch.records:
                self._delete(batch, record)
            return
        for count, body in bodies(batch.records):
            self._send(batch, count, body, headers)

    def _send(self, batch: Batch, count: int, body: bytes, headers: dict[str, str]) -> None:
        answer = self._request(batch, f"{self._url}/api/{batch.kind}", body, headers)
        told = _json(answer)
        if answer.status_code != requests.codes.accepted or told.get("errors"):
            raise RecordsRefused(batch.endpoint, answer.status_code, count, _first_problem(told, answer))
        accepted, dropped = told.get("accepted", 0), told.get("dropped", 0)
        if accepted + dropped != count:
            raise RecordsMiscounted(batch.endpoint, count, accepted + dropped)
        self.counts.note(batch.endpoint, accepted, dropped, told.get("reason"))

    def _delete(self, batch: Batch, record: Record) -> None:
        answer = self._request(batch, f"{self._url}/api/{batch.kind}/{record['id']}", b"", {})
        # 404: an attempt before this one went through, and its answer was lost
        if answer.status_code not in {requests.codes.no_content, requests.codes.not_found}:
            raise RecordsRefused(batch.endpoint, answer.status_code, 1, _first_problem(_json(answer), answer))
        deleted = answer.status_code == requests.codes.no_content
        self.counts.note(batch.endpoint, int(deleted), int(not deleted), "not there")

    def _request(self, batch: Batch, url: str, body: bytes, headers: dict[str, str]) -> requests.Response:
        """Ask until there is an answer that a new attempt would not change."""
        reason = ""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                answer = self._session.request(batch.method, url, data=body, headers=headers, timeout=TIMEOUT_SECONDS)
            except (requests.ConnectionError, requests.Timeout) as error:
                reason, asked_wait = type(error).__name__, 0.0
            else:
                if answer.status_code not in TRY_AGAIN:
                    return answer
                reason, asked_wait = f"status {answer.status_code}", _retry_after(answer)
            seconds = min(max(asked_wait, FIRST_WAIT_SECONDS * 2 ** (attempt - 1)), LONGEST_WAIT_SECONDS)
            if attempt == ATTEMPTS or self._wait(seconds):
                break
        raise IngestUnreachable(batch.endpoint, self._url, attempt, reason)


def bodies(records: Sequence[Record], limit_bytes: int = BODY_LIMIT_BYTES) -> Iterator[tuple[int, bytes]]:
    """Cut records into JSON arrays of at most 1,000 records and `limit_bytes`; yield each with its record count."""
    parts: list[bytes] = []
    size = 2
    for record in records:
        part = msgspec.json.encode(record)
        if parts and (len(parts) == BATCH_LIMIT or size + len(part) + 1 > limit_bytes):
            yield len(parts), b"[" + b",".join(parts) + b"]"
            parts, size = [], 2
        parts.append(part)
        size += len(part) + 1
    if parts:
        yield len(parts), b"[" + b",".join(parts) + b"]"


def _retry_after(answer: requests.Response) -> float:
    stated = answer.headers.get("Retry-After", "")
    return float(stated) if stated.isdigit() else 0.0


def _json(answer: requests.Response) -> dict[str, Any]:
    try:
        told = msgspec.json.decode(answer.content)
    except msgspec.DecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _first_problem(told: dict[str, Any], answer: requests.Response) -> str:
    """Say what the first error of an answer is, in either of its two forms."""
    if errors := told.get("errors"):
        return f"record {errors[0].get('index')}, field {errors[0].get('field')}: {errors[0].get('error')}"
    if error := told.get("error"):
        return str(error.get("message"))
    return answer.reason
