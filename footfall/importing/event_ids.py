"""The names of imported events: the same content in the same place gets the same id, so an import can be repeated."""

import hashlib
from uuid import UUID

# a UUID of version 8, "made by a rule of one's own" (RFC 9562, section 5.8), of the RFC's variant
MARKS = (0xF << 76) | (0x3 << 62)
VERSION_8 = (0x8 << 76) | (0x2 << 62)


class EventIds:
    """Ids by content. The nth event of the same content gets an id of its own: two equal requests are two events.

    With `secret`, an id is a keyed hash: without the secret nobody can try which content has it.
    With `forget_after`, what was seen is forgotten after so many to twice as many events, which bounds the memory
    where equal events lie close together; without it, each distinct event costs about 150 bytes.
    """

    def __init__(self, forget_after: int | None = None, secret: str = "") -> None:
        self._forget_after = forget_after
        self._key = hashlib.sha256(secret.encode()).digest()
        self._seen: dict[bytes, int] = {}
        self._seen_before: dict[bytes, int] = {}

    def id_of(self, content: bytes) -> UUID:
        """Return the id of the next event with this content: a UUID of version 8."""
        digest = hashlib.blake2b(content, digest_size=16, key=self._key).digest()
        nth = self._seen.get(digest) or self._seen_before.get(digest, 0)
        self._seen[digest] = nth + 1
        if len(self._seen) == self._forget_after:
            self._seen_before, self._seen = self._seen, {}
        if nth:
            digest = hashlib.blake2b(digest + str(nth).encode(), digest_size=16, key=self._key).digest()
        return UUID(int=int.from_bytes(digest, "big") & ~MARKS | VERSION_8)
