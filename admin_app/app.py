"""The read side over HTTP: which tables are published, how large they are, and how fresh."""

from flask import Flask, render_template

from admin_app.published import read_published
from admin_app.settings import AdminSettings


def create_app(settings: AdminSettings | None = None) -> Flask:
    """Make the WSGI app. Without settings they are read from the environment."""
    settings = settings or AdminSettings()
    app = Flask(__name__)

    @app.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/")
    def index() -> str:
        return render_template("index.html", published=read_published(settings.published_path))

    return app
