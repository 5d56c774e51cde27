"""The watcher's process: `python -m footfall.watch`, as `footfall up` starts it. It ends with SIGTERM or SIGINT."""

import signal
import sys
import threading
from pathlib import Path

from footfall.errors import FootfallError
from footfall.settings import load_settings
from footfall.watch.settings import load_watch_settings
from footfall.watch.watcher import log, watch
from ingest_app.logs import configure_logs


def run(home: Path | None = None) -> None:
    """Watch until told to stop. Raises HomeNotWritable, WrongSetting, AlreadyWatched."""
    configure_logs()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    watch(load_settings(home), load_watch_settings(), stop)


def main() -> int:
    """Watch; an error that was foreseen is one line of the log."""
    try:
        run()
    except FootfallError as error:
        log.error("%s", error)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
