"""Watching: the canary, the lags, the problems they show, and who is told. No dagster here, and nothing is mended."""
