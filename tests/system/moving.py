"""Processes of clients that move points, and who holds what they were told to what is in Postgres.

The clients themselves are `mover.py`. Nothing is compared before every move has its answer.
"""

import json
import random
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import psycopg
from psycopg.rows import namedtuple_row

PROCESSES = 4
MOVER = Path(__file__).with_name("mover.py")
# what a move may be told, beside that it was made; 503 and 429 say when to come again
REFUSALS = {
    (404, "unknown_user"),
    (409, "already_reversed"),
    (409, "not_enough_credits"),
    (409, "not_enough_points"),
}
POINT_LOGS = """
    SELECT p.id, p.user_id, p.action, p.points, p.created_at, p.reverses_id, c.id AS credit_id, c.credits_added,
        c.points_consumed
    FROM user_point_logs AS p LEFT JOIN user_credit_logs AS c ON c.point_log_id = p.id
    WHERE p.user_id = ANY(%s) ORDER BY p.id
"""
CREDIT_LOGS = """
    SELECT id, user_id, credits_added, points_consumed, created_at, point_log_id FROM user_credit_logs
    WHERE user_id = ANY(%s) ORDER BY id
"""
BALANCES = """
    SELECT p.user_id, p.points, coalesce(c.credits, 0) FROM user_points AS p LEFT JOIN user_credits AS c USING (user_id)
    WHERE user_id = ANY(%s)
"""
KEYS = "SELECT idempotency_key, answer FROM idempotency_keys WHERE starts_with(idempotency_key, %s)"
Json = dict[str, Any]


class Clients:
    """The client processes of a round, which can be killed and have successors."""

    def __init__(self, folder: Path, url: str, key: str, users: Sequence[int], prefix: str) -> None:
        self._folder, self._prefix = folder, prefix
        self._arguments = (url, key, ",".join(map(str, users)))
        self._generation = 0
        self._processes = [self._start(number) for number in range(PROCESSES)]

    def kill_some(self, chance: random.Random) -> None:
        """Send SIGKILL to one or more, and start their successors."""
        for number in chance.sample(range(PROCESSES), chance.randint(1, PROCESSES)):
            _kill(self._processes[number])
            self._processes[number] = self._start(number)

    def finish(self) -> None:
        """Let each client get its last answer."""
        for process in self._processes:
            _close(process)
        codes = [process.wait(90) for process in self._processes]
        assert codes == [0] * PROCESSES

    def stop(self) -> None:
        """End what still runs."""
        for process in self._processes:
            _kill(process)

    def lines(self) -> Iterator[Json]:
        """Read what all clients noted."""
        for journal in self._folder.glob("*/*.jsonl"):
            for line in journal.read_text().splitlines():
                yield json.loads(line)

    def _start(self, number: int) -> subprocess.Popen[bytes]:
        self._generation += 1
        folder = self._folder / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        seed = f"{self._prefix} {self._generation}"
        command = [sys.executable, str(MOVER), str(folder), *self._arguments, seed, self._prefix]
        return subprocess.Popen(command, stdin=subprocess.PIPE)


def _kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(30)
    _close(process)


def _close(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()


@dataclass
class Journal:
    """What clients asked by key, what they were told, and how often something was told."""

    asked: dict[str, Json] = field(default_factory=dict)
    made: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    refused: set[str] = field(default_factory=set)
    sent_again: set[str] = field(default_factory=set)
    told: Counter[str] = field(default_factory=Counter)
    wrong: list[Json] = field(default_factory=list)

    def read(self, lines: Iterator[Json]) -> "Journal":
        for line in lines:
            if "key" in line:
                self.asked[line["key"]] = line
            elif "again" in line:
                self.sent_again.add(line["again"])
                self.told["sent again"] += 1
            else:
                self._note_answer(line)
        return self

    def _note_answer(self, line: Json) -> None:
        status, key = line["status"], line["of"]
        code = "made" if status == 200 else json.loads(line["text"])["error"]["code"]
        self.told[f"{status} {code}"] += 1
        if status == 200:
            self.made[key].add(line["text"])
        elif (status, code) in REFUSALS and key not in self.made:
            self.refused.add(key)
        # of a move that was made nothing else is ever said, but that it cannot be said now
        elif status not in {429, 503} or not (line["retry_after"] or "").isdigit():
            self.wrong.append(line)


class Told(NamedTuple):
    """The moves of one kind of log that were made, by the log ids of their answers."""

    name: str
    body: Json
    answer: Json


def differences(dsn: str, users: Sequence[int], prefix: str, journal: Journal) -> dict[str, Any]:
    """Compare what is there with what was told; empty where every promise was kept."""
    with psycopg.connect(dsn, row_factory=namedtuple_row) as connection:
        point_logs: list[Any] = connection.execute(POINT_LOGS, [users]).fetchall()
        credit_logs: list[Any] = connection.execute(CREDIT_LOGS, [users]).fetchall()
        balances = {user: (points, credits) for user, points, credits in connection.execute(BALANCES, [users])}
        keys: dict[str, str] = dict(connection.execute(KEYS, [prefix]).fetchall())
    made = {key: json.loads(answer) for key, answer in keys.items() if key in journal.asked}
    told = [Told(journal.asked[key]["name"], journal.asked[key]["body"], answer) for key, answer in made.items()]
    found = {
        "wrong answers": journal.wrong,
        "told more than one thing": [key for key, texts in journal.made.items() if len(texts) > 1],
        "made and lost": [key for key, texts in journal.made.items() if keys.get(key) not in texts],
        "made and not told": set(keys) - set(journal.made) - journal.refused,
        # what was sent twice may be refused once, and made by the other one after that
        "refused and made": (journal.refused - journal.sent_again - set(journal.made)) & set(keys),
        "without an answer": set(journal.asked) - set(journal.made) - journal.refused,
        "never asked": set(keys) - set(journal.asked),
        **_of_points([row for row in told if row.name != "credits/spend"], point_logs),
        **_of_credits([row for row in told if row.name == "credits/spend"], credit_logs),
    }
    found["balances and sums of the logs"] = _of_balances(balances, point_logs, credit_logs)
    return {name: list(what)[:3] for name, what in found.items() if what}


def _of_balances(balances: dict[int, tuple[int, int]], point_logs: list[Any], credit_logs: list[Any]) -> list[Any]:
    points, credits = Counter[int](), Counter[int]()
    for row in point_logs:
        points[row.user_id] += _points_of(row)
    for row in credit_logs:
        credits[row.user_id] += row.credits_added
    sums = {user: (points[user], credits[user]) for user in {*points, *credits}}
    return [] if sums == balances else [sums, balances]


def _of_points(told: list[Told], rows: list[Any]) -> dict[str, Any]:
    """Follow each user's balance of points through the log: every answer named the balance after its row."""
    by_id = {move.answer["log_id"]: move for move in told}
    held: Counter[int] = Counter()
    times: dict[int, Any] = {}
    wrong: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        held[row.user_id] += _points_of(row)
        move = by_id.pop(row.id, None)
        if move is None:
            wrong["row of points that nobody asked for"].append(row)
        elif move.answer["points"] != held[row.user_id] or not _is_row_of(move, row):
            wrong["row of points that was told otherwise"].append((row, move, held[row.user_id]))
        if held[row.user_id] < 0:
            wrong["points below zero"].append(row)
        if row.created_at < times.get(row.user_id, row.created_at):
            wrong["row of points before an earlier one"].append(row)
        times[row.user_id] = row.created_at
    return {**wrong, "told and in no row of points": list(by_id.values())}


def _of_credits(told: list[Told], rows: list[Any]) -> dict[str, Any]:
    """Follow each user's balance of credits, too: of those spent, whose answers name it."""
    by_id = {move.answer["log_id"]: move for move in told}
    held: Counter[int] = Counter()
    wrong: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        held[row.user_id] += row.credits_added
        if held[row.user_id] < 0:
            wrong["credits below zero"].append(row)
        if row.point_log_id is not None:
            continue
        move = by_id.pop(row.id, None)
        if move is None:
            wrong["row of credits that nobody asked for"].append(row)
        elif (move.answer["credits"], -move.body["credits"]) != (held[row.user_id], row.credits_added):
            wrong["row of credits that was told otherwise"].append((row, move, held[row.user_id]))
    return {**wrong, "told and in no row of credits": list(by_id.values())}


def _points_of(row: Any) -> int:  # noqa: ANN401, a row of Postgres
    return int(row.points) if row.action == "earn" else -int(row.points)


def _is_row_of(move: Told, row: Any) -> bool:  # noqa: ANN401, a row of Postgres
    """Tell whether a row says what its move asked for, and has its credits."""
    if move.name == "points/earn":
        expected = ("earn", move.body["points"], None, None)
    elif move.name == "points/redeem":
        expected = ("redeem", move.answer["points_consumed"], None, move.body["credits"])
    else:
        is_of_redeem = row.credit_id is not None
        expected = ("earn" if is_of_redeem else "redeem", row.points, move.body["log_id"], row.credits_added)
    return (row.action, row.points, row.reverses_id, row.credits_added) == expected and (
        row.credit_id is None or abs(row.points_consumed) == row.points
    )
