"""The page of the controls: forms for what `controls.py` does by JSON. Works without JavaScript.

Each change is asked about once, on a page that says what will happen, and told of afterwards. Nothing is changed by
an address alone.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime

import msgspec
from flask import Blueprint, flash, redirect, render_template, request, url_for
from werkzeug.datastructures import MultiDict
from werkzeug.wrappers import Response

from admin_app import control_state
from admin_app.access import actor
from admin_app.controls import MOST_ID, MOST_RATE, MOST_ROWS, KeyWanted, end_key, make_key
from admin_app.errors import NoSuchKey, RequestRefused
from admin_app.parameters import read_number
from admin_app.sources import sources
from ingest_app.admin_settings import check, read_settings
from ingest_app.errors import SettingRefused
from ingest_app.keys import ListedKey, list_keys

blueprint = Blueprint("control_pages", __name__, url_prefix="/controls")

ROWS = 20
# so many parts of a list in an entry of the audit log are shown
LISTED = 10
CONSEQUENCES = {
    ("tracking_enabled", "0"): "What apps send is dropped from now on, answered 202; nothing of it can be got back.",
    ("tracking_enabled", "1"): "What apps send is kept again, within a second.",
    ("points_enabled", "0"): "Every move of points and credits is refused, answered 403.",
    ("points_enabled", "1"): "Points and credits move again.",
}
# in words, what KeyWanted has in types
KEY_RULES = {
    "scope": "Choose one of them.",
    "app_name": "A name has at most 50 characters, none of them a control character.",
    "allowed_origins": "At most 100 origins, with spaces between.",
    "requests_per_second": f"A whole number from 1 to {MOST_RATE:,}, without commas.",
}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked before something is changed: in a sentence, with what the form then sends."""

    title: str
    sentence: str
    button: str
    action: str
    sent: tuple[tuple[str, str], ...] = field(default=())


@blueprint.app_template_filter("shortened")
def shortened(value: object) -> object:
    """Leave out most of a long list: the API has all of it."""
    if not isinstance(value, list) or len(value) <= LISTED:
        return value
    return f"{', '.join(map(str, value[:LISTED]))}, … ({len(value):,} in all)"


@blueprint.get("")
def show() -> str:
    """Show all controls."""
    return _page()


@blueprint.get("/settings")
def ask_setting() -> str | tuple[str, int]:
    """Ask whether a setting shall be changed; a bad value is told beside its field."""
    key, value = request.args.get("key", ""), request.args.get("value", "").strip()
    try:
        check(key, value)
    except SettingRefused as error:
        return _page(refused=(key, value, str(error))), 400
    with sources().engine.connect() as connection:
        old = read_settings(connection).get(key)
    consequence = CONSEQUENCES.get((key, value), "")
    question = Question(
        title=f"Change {key}?",
        sentence=f"{key} is {'not set' if old is None else old} and will be {value}. {consequence}",
        button=f"Set {key} to {value}",
        action=url_for(".set_setting"),
        sent=(("key", key), ("value", value), *((("shown", old),) if old is not None else ())),
    )
    return _ask(question)


@blueprint.post("/settings")
def set_setting() -> Response:
    """Change a setting, unless somebody else did meanwhile."""
    key, value = request.form.get("key", ""), request.form.get("value", "")
    with sources().engine.begin() as connection:
        shown = {key: request.form.get("shown")}
        changes = control_state.change_settings(connection, {key: value}, actor(), shown)
    said = [f"{one.key} is {one.new} now; it was {'not set' if one.old is None else one.old}." for one in changes]
    return _told(*said or [f"{key} was {value} already; nothing was changed."])


@blueprint.get("/keys/new")
def ask_key() -> str:
    """Ask what a new key shall be."""
    return render_template("controls_key.html", sent=MultiDict(), error=None)


@blueprint.post("/keys/new")
def create_key() -> str | tuple[str, int]:
    """Make a key, and show it on this answer alone: it is in no address and in no session."""
    try:
        key = make_key(_wanted_key(request.form))
    except RequestRefused as error:
        return render_template("controls_key.html", sent=request.form, error=error), error.status
    return render_template("controls_key_made.html", key=key, sent=request.form)


@blueprint.get("/keys/<int:key_id>/revoke")
def ask_revoke(key_id: int) -> str:
    """Ask whether a key shall be worthless."""
    with sources().engine.connect() as connection:
        found = next((key for key in list_keys(connection) if key.id == key_id and key.revoked_at is None), None)
    if found is None:
        raise NoSuchKey(key_id)
    return _ask(
        Question(
            title=f"Revoke key {key_id}?",
            sentence=f"{_described(found)} It is worthless within a second, and cannot be brought back.",
            button=f"Revoke key {key_id}",
            action=url_for(".revoke", key_id=key_id),
        )
    )


@blueprint.post("/keys/<int:key_id>/revoke")
def revoke(key_id: int) -> Response:
    """Make a key worthless."""
    try:
        end_key(key_id)
    except NoSuchKey:
        # the form was sent twice, or by two
        return _told(f"Key {key_id} did not work any more; nothing was changed.")
    return _told(f"Key {key_id} is revoked.")


@blueprint.get("/rejected/retry")
def ask_retry() -> str | Response:
    """Ask whether the chosen records shall be tried again."""
    ids = [str(number) for number in _ids(request.args)]
    if not ids:
        return _told("No record was chosen.")
    count = "1 record" if len(ids) == 1 else f"{len(ids):,} records"
    question = Question(
        title=f"Try {count} again?",
        sentence="What Postgres takes now counts as accepted now and earns points by the rules; what it refuses stays.",
        button=f"Try {count} again",
        action=url_for(".retry"),
        sent=tuple(("ids", number) for number in ids),
    )
    return _ask(question)


@blueprint.post("/rejected/retry")
def retry() -> Response:
    """Try rejected records again."""
    ids = _ids(request.form)
    if not ids:
        return _told("No record was chosen.")
    with sources().engine.begin() as connection:
        kept, stayed = control_state.retry(connection, ids, actor())
    if not kept + stayed:
        return _told("They were tried again meanwhile: none of them is here any more.")
    return _told(f"Records that are in Postgres now: {kept:,}; still refused: {stayed:,}.")


def _page(refused: tuple[str, str, str] | None = None) -> str:
    """Render the page; `refused` is a setting's key, what was typed, and why that cannot be."""
    with sources().engine.connect() as connection:
        return render_template(
            "controls.html",
            settings=control_state.list_settings(connection),
            retention=control_state.read_retention(connection),
            rejected=control_state.list_rejected(connection, ROWS, _before("rejected_before")),
            rejected_count=control_state.count_rejected(connection),
            keys=list_keys(connection),
            audit=control_state.list_audit(connection, ROWS, _before("audit_before")),
            row_limit=ROWS,
            refused=refused,
            now=datetime.now(UTC),
        )


def _ask(question: Question) -> str:
    return render_template("controls_confirm.html", question=question)


def _told(*sentences: str) -> Response:
    for sentence in sentences:
        flash(sentence)
    return redirect(url_for(".show"), 303)


def _wanted_key(form: MultiDict[str, str]) -> KeyWanted:
    """Read the form of a new key. Raises RequestRefused, which names the field."""
    sent = {
        "scope": form.get("scope", ""),
        "app_name": form.get("app_name", "").strip() or None,
        "allowed_origins": form.get("allowed_origins", "").split(),
        "requests_per_second": form.get("requests_per_second", "").strip(),
    }
    try:
        # lax: a form sends numbers as text
        return msgspec.convert(sent, KeyWanted, strict=False)
    except msgspec.ValidationError as error:
        reason, _, place = str(error).partition(" - at `$.")
        field = place.strip("`").partition("[")[0]
        raise RequestRefused(KEY_RULES.get(field, reason), field) from error


def _before(name: str) -> int | None:
    """Read before which row a list begins; what is no number is as if it were not there."""
    return read_number(request.args.get(name, ""), 1, MOST_ID)


def _ids(sent: MultiDict[str, str]) -> list[int]:
    numbers = {read_number(text, 1, MOST_ID) for text in sent.getlist("ids")}
    return sorted(number for number in numbers if number is not None)[:MOST_ROWS]


def _described(key: ListedKey) -> str:
    app = f" of {key.app_name}" if key.app_name else ""
    used = f"last used {key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "never used"
    return f"It is a {key.scope} key{app}, {used}."
