"""How often a key may send. Each worker counts by itself and in memory, so two workers let twice as much pass.

What a key's rate is stands in `keys.py`. The method is GCRA: a second's worth at once, then one whenever the next is
due. There is no window at whose edge twice as much would pass, and the clock is not one that somebody may set.
"""

from math import ceil

from throttled.rate_limiter import GCRARateLimiter, per_sec
from throttled.store import MemoryStore

from ingest_app.errors import TooManyRequests
from ingest_app.keys import Key

# beyond so many keys in use the one that was silent longest starts afresh
MAX_KEYS = 10_000


class RateLimits:
    """The requests of each key, counted by one worker."""

    def __init__(self) -> None:
        self._counts = MemoryStore(options={"MAX_SIZE": MAX_KEYS})
        self._limiters: dict[int, GCRARateLimiter] = {}

    def count(self, key: Key) -> None:
        """Count one request. Raises TooManyRequests."""
        limiter = self._limiters.get(key.requests_per_second) or self._make(key.requests_per_second)
        result = limiter.limit(str(key.id))
        if result.limited:
            # whole seconds, as the header counts
            raise TooManyRequests(key.requests_per_second, max(1, ceil(result.state.retry_after)))

    def _make(self, rate: int) -> GCRARateLimiter:
        return self._limiters.setdefault(rate, GCRARateLimiter(per_sec(rate, burst=rate), self._counts))
