"""History into Postgres: web-server logs and files of records, one transaction a file, safe to repeat.

What a record is, and how it is written, is `ingest_app`'s; here files are read, named and put through it.
"""
