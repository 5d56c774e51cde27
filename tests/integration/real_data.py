"""Public data sets as files that `footfall import` takes. How their columns map to ours stands here, and why.

Open University (OULAD, Kuzilek, Hlosta and Zdrahal 2017, CC BY 4.0): a row of `studentVle` is one open of a page of a
course; rows that are equal are opens of their own, by design of the source. Dates are days from the start of the
presentation; B starts in February, J in October. A registration is a subscription: the student is the customer
(organization), the module the plan, the presentation the duration. Who unregistered has cancelled; presentation
2014J is taken as still running, as otherwise nothing would be active today; the rest has expired.

Moodle (Saqr and López-Pernas, CC BY 4.0): a log row is an event; what was "viewed" is a document, the rest a button.
Users are nine hex digits: a number. Times have no zone: taken as UTC.

Quantum Computing Stack Exchange (its users, CC BY-SA): who registered signed up, the last access is a login, a badge an
app open (one gets it while there), posts, comments and votes are actions; votes are known to the day. Its users are
accounts without an organization, the students of OULAD accounts with themselves as one.

What no file can bring, for it is about now, `OF_NOW` makes of that: logins are heartbeats, the last events of the
course its live sessions, and each button of it is a point, of which everyone redeems half.
"""

import csv
import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import polars as pl

STARTS = {
    "2013B": datetime(2013, 2, 1, tzinfo=UTC),
    "2013J": datetime(2013, 10, 1, tzinfo=UTC),
    "2014B": datetime(2014, 2, 1, tzinfo=UTC),
    "2014J": datetime(2014, 10, 1, tzinfo=UTC),
}
RUNNING = "2014J"
RUNS_UNTIL = datetime(2100, 1, 1, tzinfo=UTC)
OF_NOW = """
    INSERT INTO user_heartbeats (user_id, last_seen_at)
    SELECT user_id, max(created_at) FROM activity_events WHERE event_type = 'login' GROUP BY user_id;

    INSERT INTO tracking_live_sessions (session_id, user_id, user_type, app_name, last_heartbeat)
    SELECT user_id::text, user_id, 'student', app_name, max(created_at)
    FROM tracking_events WHERE app_name = 'moodle' GROUP BY user_id, app_name;

    INSERT INTO user_point_logs (user_id, action, points, related_event, created_at)
    SELECT user_id, 'earn', 1, event_name, created_at
    FROM tracking_events WHERE app_name = 'moodle' AND event_type = 'button';

    INSERT INTO user_point_logs (user_id, action, points, created_at)
    SELECT user_id, 'redeem', count(*) / 2, max(created_at)
    FROM user_point_logs GROUP BY user_id HAVING count(*) > 1;

    INSERT INTO user_credit_logs (user_id, credits_added, points_consumed, point_log_id, created_at)
    SELECT user_id, points, points, id, created_at FROM user_point_logs WHERE action = 'redeem';

    INSERT INTO user_points (user_id, points)
    SELECT user_id, sum(CASE action WHEN 'earn' THEN points ELSE -points END) FROM user_point_logs GROUP BY user_id;

    INSERT INTO user_credits (user_id, credits) SELECT user_id, credits_added FROM user_credit_logs;
"""


def write_documents(oulad: Path, target: Path) -> None:
    """Write studentVle as Parquet of `documents`: 1,048,575 rows."""
    starts = pl.col("code_presentation").replace_strict(STARTS, return_dtype=pl.Datetime("us", "UTC"))
    pl.scan_csv(oulad / "studentVle.tsv.gz", separator="\t").select(
        user_type=pl.lit("student"),
        app_name=pl.lit("oulad"),
        level_name="code_module",
        chapter_name="code_presentation",
        document_name=pl.col("id_site").cast(pl.String),
        user_id="id_student",
        created_at=starts + pl.duration(days="date"),
    ).sink_parquet(target)


def write_organizations(oulad: Path, target: Path) -> None:
    """Write the students as CSV of `organizations`."""
    students = sorted({row["id_student"] for row in _registrations(oulad)})
    _write_csv(target, ["id", "name"], ([_id("student", student), f"student {student}"] for student in students))


def write_subscriptions(oulad: Path, target: Path) -> None:
    """Write studentRegistration as CSV of `subscriptions`: 32,593 rows, 45 of them without a date of registration."""
    with (oulad / "courses.csv").open() as file:
        lengths = {
            (row["code_module"], row["code_presentation"]): int(row["module_presentation_length"])
            for row in csv.DictReader(file)
        }
    columns = ["id", "org_id", "plan", "duration", "status", "started_at", "ends_at"]
    _write_csv(target, columns, (_subscription(row, lengths) for row in _registrations(oulad)))


def write_moodle_events(moodle: Path, target: Path) -> None:
    """Write the Moodle log as NDJSON of `events`: 95,626 rows."""
    with gzip.open(moodle / "events.csv.gz", "rt", encoding="utf-8") as source, gzip.open(target, "wt") as out:
        for row in csv.DictReader(source):
            event = {
                "user_type": "student",
                "app_name": "moodle",
                "event_type": "document" if "viewed" in row["Event.name"] else "button",
                "event_name": row["Event.name"],
                "user_id": int(row["user"], 16),
                "meta": {"context": row["Event.context"], "component": row["Component"]},
                "created_at": row["timecreated"].replace(" ", "T") + "Z",
            }
            out.write(json.dumps(event) + "\n")


def write_users(oulad: Path, target: Path) -> None:
    """Write the students as CSV of `users`."""
    students = sorted({row["id_student"] for row in _registrations(oulad)})
    columns = ["id", "user_type", "account_id"]
    _write_csv(target, columns, ([student, "student", _id("account", student)] for student in students))


def write_accounts(data: Path, target: Path) -> None:
    """Write the students, and the users of the question site, as CSV of `accounts`."""
    students = sorted({row["id_student"] for row in _registrations(data / "oulad")})
    members = _read_csv(data / "stackexchange_quantum_2018" / "Users.csv.gz")
    rows: list[list[object]] = [
        [_id("account", it), _id("student", it), STARTS[RUNNING].isoformat()] for it in students
    ]
    rows += [[_id("member", row["Id"]), "", f"{row['CreationDate']}Z"] for row in members]
    _write_csv(target, ["id", "org_id", "created_at"], iter(rows))


def write_activity(stackexchange: Path, target: Path) -> None:
    """Write what the users of the question site did as CSV of `activity`: 29,552 rows."""
    _write_csv(target, ["event_type", "action_name", "user_id", "created_at"], _activity(stackexchange))


def _activity(stackexchange: Path) -> Iterator[list[object]]:
    files = (
        ("Users", "Id", "CreationDate", "signup", ""),
        ("Users", "Id", "LastAccessDate", "login", ""),
        ("Badges", "UserId", "Date", "app_open", ""),
        ("Posts", "OwnerUserId", "CreationDate", "action", "post"),
        ("Comments", "UserId", "CreationDate", "action", "comment"),
        ("Votes", "UserId", "CreationDate", "action", "vote"),
    )
    for name, user, moment, event_type, action_name in files:
        for row in _read_csv(stackexchange / f"{name}.csv.gz"):
            member = _id("member", row[user]) if row[user] else ""
            yield [event_type, action_name, member, f"{row[moment]}Z"]


def _subscription(row: dict[str, str], lengths: dict[tuple[str, str], int]) -> list[object]:
    module, presentation, student = row["code_module"], row["code_presentation"], row["id_student"]
    start = STARTS[presentation]
    if row["date_unregistration"]:
        status, ends_at = "cancelled", start + timedelta(days=int(row["date_unregistration"]))
    elif presentation == RUNNING:
        status, ends_at = "active", RUNS_UNTIL
    else:
        status, ends_at = "expired", start + timedelta(days=lengths[module, presentation])
    started_at = start + timedelta(days=int(row["date_registration"] or 0))
    key = _id("registration", module, presentation, student)
    return [key, _id("student", student), module, presentation, status, started_at.isoformat(), ends_at.isoformat()]


def _read_csv(path: Path) -> Iterator[dict[str, str]]:
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from csv.DictReader(file)


def _registrations(oulad: Path) -> Iterator[dict[str, str]]:
    with (oulad / "studentRegistration.csv").open() as file:
        yield from csv.DictReader(file)


def _id(*parts: str) -> str:
    return str(uuid5(NAMESPACE_URL, "/".join(("oulad", *parts))))


def _write_csv(target: Path, columns: list[str], rows: Iterator[list[object]]) -> None:
    with target.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
