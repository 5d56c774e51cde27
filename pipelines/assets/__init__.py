"""The assets, in the order of the path: Postgres, load, models, publish; and what keeps Postgres small. No SQL here."""
