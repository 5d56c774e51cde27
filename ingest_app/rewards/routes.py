"""Points and credits over HTTP: from a request to the ledger and back. What is allowed is the ledger's to say."""

import re
from functools import partial

from flask import Flask, Response, request

from ingest_app import answers
from ingest_app.access import require_key
from ingest_app.body import read_body
from ingest_app.control import ControlWatch
from ingest_app.decode import decode_one, decode_query
from ingest_app.errors import InvalidRecord
from ingest_app.rewards import history
from ingest_app.rewards.errors import KeyInvalid, KeyMissing
from ingest_app.rewards.ledger import make_move
from ingest_app.rewards.moves import MOVES, Move
from ingest_app.rewards.statements import Statements

SCOPES = ("server",)
LOGS = {"points": "point_logs", "credits": "credit_logs"}
LARGEST_USER_ID = 2**63 - 1
USER_ID = re.compile("0|[1-9][0-9]{0,18}")
IDEMPOTENCY_KEY = re.compile("[ -~]{1,255}")


def add_routes(app: Flask, statements: Statements, control: ControlWatch) -> None:
    """Add the moves, balances and logs."""
    for name, move in MOVES.items():
        app.add_url_rule(f"/api/{name}", name, partial(_move, statements, control, move), methods=["POST"])
    app.add_url_rule("/api/points/<user_id>", "points", partial(_balance, statements, control))
    for name, log in LOGS.items():
        logs = partial(_logs, statements, control, log)
        app.add_url_rule(f"/api/{name}/<user_id>/logs", f"{name} logs", logs)


def _move(statements: Statements, control: ControlWatch, move: Move) -> Response:
    key = require_key(control, SCOPES)
    idempotency_key = _idempotency_key()
    record = decode_one(read_body(), move.record)
    made = make_move(statements, move, record, key.app_name or "", idempotency_key)
    response = answers.encoded(made.body, made.status, "replayed" if made.is_replay else "ok")
    if made.is_replay:
        response.headers["Idempotency-Replayed"] = "true"
    return response


def _balance(statements: Statements, control: ControlWatch, user_id: str) -> Response:
    require_key(control, SCOPES)
    moment = decode_query(request.args, history.Moment)
    found = _user_id(user_id)
    if moment.at is not None:
        return answers.answer(history.read_balance_at(statements, found, moment.at), 200)
    return answers.answer(history.read_balance(statements, found), 200)


def _logs(statements: Statements, control: ControlWatch, log: str, user_id: str) -> Response:
    require_key(control, SCOPES)
    page = decode_query(request.args, history.Page)
    return answers.answer(history.read_logs(statements, log, _user_id(user_id), page), 200)


def _idempotency_key() -> str:
    found: str = request.environ.get("HTTP_IDEMPOTENCY_KEY", "")
    if not found:
        raise KeyMissing
    if not IDEMPOTENCY_KEY.fullmatch(found):
        raise KeyInvalid
    return found


def _user_id(shown: str) -> int:
    """Read the id of an address, which stands there as numbers are usually written."""
    if not USER_ID.fullmatch(shown) or int(shown) > LARGEST_USER_ID:
        raise InvalidRecord(f"{shown} is not the id of a user", "user_id")
    return int(shown)
