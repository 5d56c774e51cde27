"""The DuckDB side, plain Python: load, publish, and what keeps Postgres small. No Dagster, no HTTP."""
