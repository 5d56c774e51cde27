"""The JavaScript that draws charts: Vega, Vega-Lite and Vega-Embed in one script, out of the installed vl-convert.

What the charts look like is `drawing.py`; what draws them on a page, `static/charts.js`.
"""

import logging
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

from flask import Blueprint, Response, abort, send_file

from admin_app.errors import ScriptNotMade
from admin_app.sources import sources

blueprint = Blueprint("vega", __name__)

MAKE_SECONDS = 60.0
BUNDLE = "import sys, vl_convert; sys.stdout.write(vl_convert.javascript_bundle())"
# in a process of its own, as what bundles takes 150 MB and does not give them back
COMMAND = (sys.executable, "-X", "utf8", "-c", BUNDLE)
YEAR_SECONDS = 365 * 24 * 3600

log = logging.getLogger(__name__)


@blueprint.app_template_global("vega_script_name")
def script_name() -> str:
    """Return what the script is called: one of another version has another name, and so no cache is ever wrong."""
    return f"vega-{version('vl-convert-python')}.js"


@blueprint.get("/vega/<name>")
def script(name: str) -> Response:
    """Send the script, for a browser to keep."""
    if name != script_name():
        abort(404)
    response = send_file(find_script(sources().settings.cache_folder), mimetype="text/javascript", max_age=YEAR_SECONDS)
    response.cache_control.immutable = True
    return response


def find_script(folder: Path) -> Path:
    """Return where the script is, absolute; it is made when it is asked for the first time. Raises ScriptNotMade."""
    path = folder.absolute() / script_name()
    try:
        if not path.exists():
            _make(path)
    except (OSError, subprocess.SubprocessError) as error:
        log.error("no chart can be drawn: %s", error)
        raise ScriptNotMade(path, type(error).__name__) from error
    return path


def _make(path: Path) -> None:
    """Make it so that nobody reads half of it; of two processes that do at once, either's will do."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=".vega")
    try:
        with open(descriptor, "wb") as file:
            subprocess.run(COMMAND, stdout=file, stderr=subprocess.PIPE, timeout=MAKE_SECONDS, check=True)
            os.fsync(descriptor)
        os.replace(made, path)
    finally:
        Path(made).unlink(missing_ok=True)
