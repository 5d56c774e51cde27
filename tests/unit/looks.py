"""Looks for tests: one at which all is well, with overrides."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from footfall.watch.canary import Sent
from footfall.watch.look import Disk, Ingest, Look, Postgres, Published, Spool
from pipelines.report import Report

NOW = datetime(2026, 3, 4, 10, 30, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


WELL = Look(
    at=NOW,
    watched_seconds=86_400,
    spool=Spool(0, 0, 0),
    ingest=Ingest((), 0.1, ago(1)),
    postgres=Postgres({}, ago(10), True, 0, 5),
    published=Published(ago(100), ago(130), ago(150)),
    sent=Sent("an id", ago(20), ago(86_400)),
    dagster=Report(ago(30)),
    disks=(Disk("home", 10**11, 10**9),),
)


def a_look(**parts: object) -> Look:
    changed: dict[str, Any] = dict(parts)
    return replace(WELL, **changed)
