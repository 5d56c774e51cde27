"""The drainer's process: `python -m ingest_app.drain`. One a node; a second one says so and ends with exit code 1.

On SIGTERM or SIGINT it drains what is there, within bounds, and leaves the rest on disk.
"""

import logging
import signal
import sys
import threading
import time

from sqlalchemy.exc import SQLAlchemyError

from ingest_app.database import DRAINING, make_engine
from ingest_app.drain.batch import Drained
from ingest_app.drain.drainer import Drainer
from ingest_app.logs import configure_logs, describe
from ingest_app.metrics import DrainMetrics
from ingest_app.settings import IngestSettings
from ingest_app.spool.files import DRAINER_LOCK, take_lock

# also how long a record waits at most while all is well
PAUSE_SECONDS = 0.25
LAST_BACKOFF_SECONDS = 5.0
LAST_DRAIN_SECONDS = 10.0

log = logging.getLogger("ingest_app.drain")


def main() -> int:
    """Drain until told to stop."""
    settings = IngestSettings()
    configure_logs()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    settings.spool_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    if take_lock(settings.spool_folder / DRAINER_LOCK) is None:
        log.error("another drainer works on %s: there is one a node", settings.spool_folder)
        return 1
    engine = make_engine(settings.database_url, pool_size=1, options=DRAINING)
    drainer = Drainer(engine, settings.spool_folder, DrainMetrics(settings.prometheus_multiproc_dir))
    try:
        run(drainer, stop)
    finally:
        drainer.close()
        engine.dispose()
    return 0


def run(drainer: Drainer, stop: threading.Event) -> None:
    """Drain until `stop`, then what is left, for at most LAST_DRAIN_SECONDS."""
    backoff = PAUSE_SECONDS
    while not stop.is_set():
        drained = _try(drainer)
        if drained is None:
            stop.wait(backoff)
            backoff = min(backoff * 2, LAST_BACKOFF_SECONDS)
        else:
            backoff = PAUSE_SECONDS
            stop.wait(0 if drained.has_more else PAUSE_SECONDS)
    deadline = time.monotonic() + LAST_DRAIN_SECONDS
    while time.monotonic() < deadline and (last := _try(drainer)) and last.records:
        pass


def _try(drainer: Drainer) -> Drained | None:
    """Go one round; None where Postgres is away or refuses, for which nothing is lost."""
    try:
        drained = drainer.drain_round()
    except SQLAlchemyError as error:
        log.warning("nothing drained, trying again: %s", describe(error))
        drainer.metrics.round_failed(error)
        return None
    drainer.metrics.round_ended(drained.records)
    return drained


if __name__ == "__main__":
    sys.exit(main())
