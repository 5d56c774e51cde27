"""From the spools of this node into Postgres, exactly once: rows and cursor in one transaction.

`batch.py` writes rows, `rejected.py` sets aside what Postgres refuses, `drainer.py` goes round the spools, and
`python -m ingest_app.drain` is the process, one a node.
"""
