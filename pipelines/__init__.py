"""Dagster only: assets, checks, jobs, schedules. Each asset is a few lines that call `warehouse` or dbt."""
