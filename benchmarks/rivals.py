"""What ingest is measured against: a handler that does nothing, and one that writes each event to Postgres itself."""

import os
from queue import SimpleQueue

import psycopg
from flask import Flask, Response, request
from psycopg.types.json import Jsonb

# as many as there are clients, so that no request waits for a connection
POOL_SIZE = 32

INSERT = """
    INSERT INTO tracking_events (user_type, app_name, event_type, event_name, user_id, session_id, meta)
    VALUES (%s, %s, %s, %s, %s, %s, %s)
"""


def empty_handler() -> Flask:
    """Answer 202 and do nothing: what HTTP itself costs."""
    app = Flask("empty")
    app.add_url_rule("/api/events", "events", lambda: Response(b"{}", 202), methods=["POST"])
    return app


def insert_handler() -> Flask:
    """Decode, one INSERT on a pooled connection, commit, answer: no validation, no privacy, no key."""
    app = Flask("insert")
    pool: SimpleQueue[psycopg.Connection] = SimpleQueue()
    for _ in range(POOL_SIZE):
        pool.put(psycopg.connect(os.environ["DATABASE_URL"]))

    def insert() -> Response:
        event = request.get_json()
        values = [
            event[name] for name in ("user_type", "app_name", "event_type", "event_name", "user_id", "session_id")
        ]
        connection = pool.get()
        try:
            connection.execute(INSERT, [*values, Jsonb(event["meta"])])
            connection.commit()
        finally:
            pool.put(connection)
        return Response(b'{"accepted": 1}', 202, mimetype="application/json")

    app.add_url_rule("/api/events", "events", insert, methods=["POST"])
    return app
