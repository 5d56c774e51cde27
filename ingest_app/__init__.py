"""The write side: HTTP in, rows in Postgres, nothing else."""
