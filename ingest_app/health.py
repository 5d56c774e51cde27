"""Whether a worker lives (`/healthz`) and whether it can accept (`/readyz`). What it counts is `metrics.py`.

An absent Postgres makes no worker unready: records wait on disk. It is told, not judged.
"""

from flask import Flask, Response

from ingest_app import answers
from ingest_app.control import ControlWatch
from ingest_app.errors import NotReady, SpoolFailed, SpoolFull
from ingest_app.spool import Spool

OK = "ok"


def add_routes(app: Flask, spool: Spool, control: ControlWatch) -> None:
    """Add both. Neither asks Postgres."""
    app.add_url_rule("/healthz", "healthz", lambda: answers.answer({"status": "ok"}, 200))
    app.add_url_rule("/readyz", "readyz", lambda: _ready(spool, control))


def _ready(spool: Spool, control: ControlWatch) -> Response:
    checks = _checks(spool, control)
    is_ready = set(checks.values()) == {OK}
    body = {
        "status": "ready" if is_ready else "not ready",
        "checks": checks,
        "postgres": "away" if control.is_postgres_away else "reachable",
    }
    return answers.answer(body, 200) if is_ready else answers.answer(body, 503, "not_ready")


def _checks(spool: Spool, control: ControlWatch) -> dict[str, str]:
    """Try what an accepted record needs; each check is `ok` or says what is wrong."""
    found = {"spool": OK, "disk": OK, "keys": OK}
    try:
        spool.probe()
    except SpoolFailed as error:
        found["spool"] = str(error)
    except SpoolFull as error:
        found["disk"] = str(error)
    try:
        control.current  # noqa: B018 # what it raises is the answer
    except NotReady as error:
        found["keys"] = str(error)
    return found
