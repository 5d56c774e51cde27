"""The spool: accepted records on this machine's disk until they are in Postgres. One SQLite file a worker at a time.

`writer.py` is the worker's side, `reader.py` the drainer's; what both agree on stands in `files.py`.
"""

from ingest_app.spool.writer import Spool

__all__ = ["Spool"]
