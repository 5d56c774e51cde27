"""Signing in and out: the form that takes an admin key, once, and gives a session for it."""

from flask import Blueprint, make_response, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from admin_app.access import begin_session, end_session, public, session_key
from admin_app.errors import NotSignedIn, RequestRefused

blueprint = Blueprint("signin", __name__)


@blueprint.get("/sign-in")
@public
def sign_in() -> Response | str:
    """Show the form; who is signed in already goes on."""
    if session_key() is not None:
        return redirect(wanted_page())
    return render_template("sign_in.html", next=wanted_page(), refusal=None)


@blueprint.post("/sign-in")
@public
def begin() -> Response:
    """Take the key."""
    try:
        begin_session(request.form.get("key", "").strip())
    except RequestRefused as error:
        refusal = "this key does not work: it may be revoked, or not whole" if isinstance(error, NotSignedIn) else error
        page = render_template("sign_in.html", next=wanted_page(), refusal=str(refusal))
        response = make_response(page, error.status)
        if error.retry_after_seconds is not None:
            response.headers["Retry-After"] = str(error.retry_after_seconds)
        return response
    return redirect(wanted_page(), 303)


@blueprint.post("/sign-out")
def sign_out() -> Response:
    """End the session of this browser."""
    end_session()
    return redirect(url_for("signin.sign_in"), 303)


def wanted_page() -> str:
    """Return where to go after signing in: only to a page of ours, whatever the address says."""
    wanted = request.values.get("next", "/")
    # `//host`, `/\host` and control characters, which browsers leave out, lead elsewhere
    is_ours = wanted.startswith("/") and not wanted.startswith("//") and wanted.isprintable() and "\\" not in wanted
    return wanted if is_ours else "/"
