"""One module a command: reads options, calls one function of a room, prints. Imports are late, so `--help` is fast."""
