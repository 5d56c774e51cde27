"""A process of clients that move points as a careful app does: `python mover.py FOLDER URL KEY USERS SEED PREFIX`.

What is asked is in a journal before it is sent, and sent with the same key until it is answered. Who is killed has a
successor with the same folder, which first sends again what has no answer yet. The end of its input is the end of its
work, once all is answered.
Nothing but the standard library, so that it starts at once. What the answers are worth is judged in `moving.py`.
"""

import http.client
import json
import random
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

THREADS = 8
PAUSE_SECONDS = 0.1
TIMEOUT_SECONDS = 30.0
# the ledger is away, or the key's requests were too many
COME_AGAIN = {503, 429}
Json = dict[str, Any]

stop = threading.Event()
waiting = threading.Event()
# what anybody of this process may undo, so that two try it
reversible: list[int] = []


class Mover:
    """One client, with a journal and a connection of its own."""

    def __init__(self, journal: Path, address: str, key: str, users: list[int], prefix: str, seed: str) -> None:
        self.unanswered = list(_unanswered(journal))
        # unbuffered: what was written stays when the process is killed
        self._journal = journal.open("ab", buffering=0)
        self._connection = http.client.HTTPConnection(address, timeout=TIMEOUT_SECONDS)
        self._address, self._key, self._users, self._prefix = address, key, users, prefix
        self._chance = random.Random(seed)
        self._made: list[Json] = []

    def run(self) -> None:
        """Send what a predecessor left, then new moves until the end."""
        for asked in self.unanswered:
            self._note({"again": asked["key"]})
            self._settle(asked)
        while not stop.is_set():
            if self._made and self._chance.random() < 0.1:
                # by mistake: it was answered
                self._settle(self._chance.choice(self._made[-20:]))
            else:
                asked = self._draw()
                self._note(asked)
                if self._chance.random() < 0.1:
                    self._send_and_leave(asked)
                self._settle(asked)
            # busy clients, not ones that take the processor from who is tested
            waiting.wait(self._chance.random() / 50)

    def _draw(self) -> Json:
        name = self._chance.choices(["points/earn", "points/redeem", "credits/spend", "points/reverse"], [5, 4, 3, 2])[
            0
        ]
        user_id = self._chance.choice(self._users)
        body: Json = {"user_id": user_id, "credits": self._chance.randint(1, 3)}
        if name == "points/earn" or (name == "points/reverse" and not reversible):
            name, body = "points/earn", {"user_id": user_id, "points": self._chance.randint(1, 300)}
        elif name == "points/reverse":
            body = {"log_id": self._chance.choice(reversible[-10:]), "reason": "a storm"}
        key = f"{self._prefix}-{uuid.UUID(int=self._chance.getrandbits(128))}-{uuid.uuid4().hex[:8]}"
        return {"key": key, "name": name, "body": body}

    def _settle(self, asked: Json) -> None:
        """Send until there is an answer that says whether it was made."""
        while True:
            try:
                status, retry_after, text = self._send(self._connection, asked)
            except (OSError, http.client.HTTPException):
                self._connection.close()
                self._note({"again": asked["key"]})
                waiting.wait(PAUSE_SECONDS)
                continue
            self._note({"of": asked["key"], "status": status, "retry_after": retry_after, "text": text})
            if status not in COME_AGAIN:
                break
            self._note({"again": asked["key"]})
            waiting.wait(PAUSE_SECONDS)
        if status == 200:
            self._made.append(asked)
            if asked["name"] in {"points/earn", "points/redeem"}:
                reversible.append(json.loads(text)["log_id"])

    def _send(self, connection: http.client.HTTPConnection, asked: Json) -> tuple[int, str | None, str]:
        self._request(connection, asked)
        response = connection.getresponse()
        return response.status, response.headers["Retry-After"], response.read().decode()

    def _send_and_leave(self, asked: Json) -> None:
        """Lose patience: what was sent may be made while it is sent again."""
        self._note({"again": asked["key"]})
        hasty = http.client.HTTPConnection(self._address, timeout=TIMEOUT_SECONDS)
        try:
            self._request(hasty, asked)
        except OSError:
            return
        finally:
            hasty.close()

    def _request(self, connection: http.client.HTTPConnection, asked: Json) -> None:
        headers = {"Authorization": f"Bearer {self._key}", "Idempotency-Key": asked["key"]}
        connection.request("POST", f"/api/{asked['name']}", json.dumps(asked["body"]), headers)

    def _note(self, line: Json) -> None:
        self._journal.write(json.dumps(line).encode() + b"\n")


def _unanswered(journal: Path) -> Iterator[Json]:
    """Yield what a killed predecessor may have sent, and was not told of."""
    lines = [json.loads(line) for line in journal.read_text().splitlines()] if journal.exists() else []
    answered = {line["of"] for line in lines if "of" in line and line["status"] not in COME_AGAIN}
    return (line for line in lines if "key" in line and line["key"] not in answered)


def _wait_for_the_end() -> None:
    # not a signal, which who is just starting does not hear
    sys.stdin.read()
    stop.set()


def main() -> None:
    """Run all clients of this process."""
    folder, url, key, users, seed, prefix = sys.argv[1:]
    threading.Thread(target=_wait_for_the_end, daemon=True).start()
    address, user_ids = urlsplit(url).netloc, [int(user) for user in users.split(",")]

    def run(number: int) -> None:
        Mover(Path(folder) / f"{number}.jsonl", address, key, user_ids, prefix, f"{seed} {number}").run()

    with ThreadPoolExecutor(THREADS) as pool:
        for _ in pool.map(run, range(THREADS)):
            pass


if __name__ == "__main__":
    main()
