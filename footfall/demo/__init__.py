"""The demo: a seeded small world, its way over HTTP into footfall, and the summary of what became of it.

Nothing here starts or stops a server, loads or builds: `footfall demo` does that and calls `run` and `summary`.
"""
