"""The read side: what an admin sees. Reads Postgres for now and the published DuckDB file for history."""
