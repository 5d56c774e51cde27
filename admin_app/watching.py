"""A thread that looks at something again and again until the process ends. What it looks at is its owner's business."""

import logging
import threading
from collections.abc import Callable
from multiprocessing.util import Finalize

CLOSE_SECONDS = 5.0

log = logging.getLogger(__name__)


class Watch:
    """Looks once when it is made, then every `seconds`, and at once where somebody waits for it."""

    def __init__(self, name: str, seconds: float, look: Callable[[], None]) -> None:
        self._name, self._look_once, self._seconds = name, look, seconds
        self._failed: type[Exception] | None = None
        self._looked = threading.Condition()
        self._looks_begun = self._looks_done = 0
        self._wanted, self._closing = threading.Event(), threading.Event()
        self._look()
        # a daemon, as one that waits for a dead server must not keep the worker from ending
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()
        # granian's workers are children of multiprocessing, which end without atexit; elsewhere atexit runs these too
        self._at_exit = Finalize(None, self.close, exitpriority=0)

    def await_look(self, longest_seconds: float) -> None:
        """Wait for a look that begins now or later, but not for long."""
        with self._looked:
            number = self._looks_begun + 1
            self._wanted.set()
            self._looked.wait_for(lambda: self._looks_done >= number, longest_seconds)

    def close(self) -> None:
        """Stop looking."""
        self._closing.set()
        self._wanted.set()
        self._thread.join(CLOSE_SECONDS)
        self._at_exit.cancel()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wanted.wait(self._seconds)
            self._wanted.clear()
            if not self._closing.is_set():
                self._look()

    def _look(self) -> None:
        with self._looked:
            self._looks_begun += 1
        try:
            self._look_once()
        except Exception as error:
            # not the last look for that: what is shown would get older and older, until somebody restarts the page
            if self._failed is not type(error):
                log.exception("a look at the %s failed, the next ones will be tried", self._name)
            self._failed = type(error)
        with self._looked:
            self._looks_done = self._looks_begun
            self._looked.notify_all()
