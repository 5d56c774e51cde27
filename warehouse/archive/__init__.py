"""Sealed days: closed days of the event tables as Parquet for ever, what names them, and what proves them.

No loading and no models; what leaves Postgres is not decided here.
"""
