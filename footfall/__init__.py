"""The command line and the local stack; the only place that knows all the other rooms."""
