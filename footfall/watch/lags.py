"""Looks: a function a place, each wait bounded; what cannot be seen is `Unknown` with the reason. Nothing is judged.

What is found is told in `look.py`, what follows from it in `problems.py`.
"""

import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from pathlib import Path

import requests
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from footfall.postgres import running_url
from footfall.settings import Settings
from footfall.watch.canary import read_sent
from footfall.watch.look import Disk, Ingest, Look, Postgres, Spool, Unknown
from footfall.watch.published import PublishedReader
from ingest_app.admin_settings import read_settings
from ingest_app.database import WATCHING, connect, make_engine
from ingest_app.errors import DatabaseUnreachable
from ingest_app.logs import describe
from ingest_app.spool.reader import read_backlog
from pipelines.report import read_report
from warehouse.archive.address import is_s3
from warehouse.archive.retention import archive_after_days, find_partitions, is_due, today_of
from warehouse.errors import WarehouseError
from warehouse.retention import GRACE

HTTP_SECONDS = 5.0
# the doctor complains of less than 1 GB; ingest stops at FOOTFALL_SPOOL_RESERVE_MB
LEAST_FREE_BYTES = 2_000_000_000
DRAIN_LAG = "footfall_drain_lag_seconds"
DRAINED_AT = "footfall_drain_last_success_timestamp_seconds"


class Lookout:
    """Looks at one footfall, again and again."""

    def __init__(self, settings: Settings, ingest_url: str | None = None) -> None:
        """Look at this home, its database, and the ingest at an address (by default that of this machine)."""
        self.settings = settings
        self.ingest_url = (ingest_url or f"http://127.0.0.1:{settings.ingest_port}").rstrip("/")
        self._published = PublishedReader(settings.published_path)
        self._began_at = datetime.now(UTC)

    def engine(self) -> Engine | None:
        """Make a pool of one connection to the database; None where the embedded server does not run."""
        url = self.settings.database_url or running_url(self.settings.home / "postgres")
        return make_engine(url, pool_size=1, options=WATCHING) if url else None

    def look(self) -> Look:
        """Look at everything once."""
        home = self.settings.home
        # the fast ones last, so that they are of about the same moment
        postgres, ingest, published = self._postgres(), _ingest(self.ingest_url), self._published.read()
        now = datetime.now(UTC)
        return Look(
            at=now,
            watched_seconds=(now - self._began_at).total_seconds(),
            spool=_spool(home / "spool"),
            ingest=ingest,
            postgres=postgres,
            published=published,
            sent=read_sent(home) or Unknown("no canary was ever sent: nobody watches"),
            dagster=read_report(home) or Unknown("Dagster has not reported yet"),
            disks=tuple(_disks(self.settings)),
        )

    def _postgres(self) -> Postgres | Unknown:
        engine = None
        try:
            engine = self.engine()
            if engine is None:
                return Unknown("the embedded Postgres does not run")
            with connect(engine) as connection:
                return read_postgres(connection)
        except DatabaseUnreachable as error:
            return Unknown(str(error))
        except SQLAlchemyError as error:
            return Unknown(
                f"Postgres did not answer ({describe(error)}); if tables are missing, run `footfall migrate`"
            )
        except WarehouseError as error:
            return Unknown(str(error))
        finally:
            if engine is not None:
                engine.dispose()


def read_postgres(connection: Connection) -> Postgres:
    """Ask Postgres. Raises SQLAlchemyError, SettingUnusable."""
    rows = connection.exec_driver_sql(_queries()["human_counts"]).all()
    last_human_at = max((row.last_human_at for row in rows if row.last_human_at), default=None)
    counts = {row.received_hour.astimezone(UTC): row.human_count for row in rows}
    rejected: int = connection.exec_driver_sql(_queries()["rejected_count"]).scalar_one()
    stored = read_settings(connection)
    hot_days, overdue = _days(connection)
    return Postgres(counts, last_human_at, stored.get("tracking_enabled") != "0", rejected, hot_days, overdue)


def _days(connection: Connection) -> tuple[int, tuple[str, ...]]:
    """Count the days of events up to today, and name those that were due two days ago."""

    def fetch(query: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in connection.exec_driver_sql(query)]

    today, keep_days = today_of(fetch), archive_after_days(fetch)
    partitions = [one for one in find_partitions(fetch) if one.day <= today]
    overdue = [one for one in partitions if is_due(one.day, today, keep_days + GRACE.days)]
    return len({one.day for one in partitions}), tuple(map(str, overdue))


def _spool(folder: Path) -> Spool | Unknown:
    if not folder.is_dir():
        return Unknown("there is no spool on this machine")
    try:
        found = read_backlog(folder)
    except OSError as error:
        return Unknown(f"the spool cannot be read: {error.strerror}")
    return Spool(found.record_count, found.oldest_seconds, found.damaged_file_count)


def _ingest(url: str) -> Ingest | Unknown:
    with requests.Session() as session:
        # a proxy of the environment is not for addresses of our own
        session.trust_env = False
        try:
            alive = session.get(f"{url}/healthz", timeout=HTTP_SECONDS)
            ready = session.get(f"{url}/readyz", timeout=HTTP_SECONDS)
            metrics = session.get(f"{url}/metrics", timeout=HTTP_SECONDS)
        except requests.RequestException as error:
            return Unknown(f"ingest does not answer at {url}: {type(error).__name__}")
    if not alive.ok:
        return Unknown(f"ingest answers {alive.status_code} at {url}/healthz")
    values = _values(metrics.text) if metrics.ok else {}
    drained_at = values.get(DRAINED_AT)
    at = datetime.fromtimestamp(drained_at, UTC) if drained_at else None
    return Ingest(_faults(ready), values.get(DRAIN_LAG), at, is_open=metrics.ok)


def _faults(ready: requests.Response) -> tuple[str, ...]:
    # a proxy before ingest keeps /readyz to itself (deploy/nginx): whether it accepts is what the canary learns
    if ready.ok or ready.status_code == requests.codes.not_found:
        return ()
    try:
        return tuple(f"{name}: {said}" for name, said in ready.json()["checks"].items() if said != "ok")
    except (ValueError, KeyError, AttributeError):
        return (f"it answers {ready.status_code}",)


def _values(text: str) -> Mapping[str, float]:
    """Return the samples without labels of a scrape."""
    families = text_string_to_metric_families(text)
    return {sample.name: sample.value for family in families for sample in family.samples if not sample.labels}


def _disks(settings: Settings) -> list[Disk]:
    """Look at the disks of home and archive; a bucket has none, and a folder that is away is not judged here."""
    places = {"home": settings.home}
    if settings.archive_address and not is_s3(settings.archive_address):
        places["archive"] = Path(settings.archive_address)
    there = {name: path for name, path in places.items() if path.exists()}
    return [Disk(name, shutil.disk_usage(path).free, LEAST_FREE_BYTES) for name, path in there.items()]


@cache
def _queries() -> dict[str, str]:
    text = files("footfall.watch").joinpath("postgres.sql").read_text(encoding="utf-8")
    _, *parts = re.split(r"^-- (\w+) --$", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))
