"""What can go wrong around the rooms: the home folder, ports, children. The class docstring is the message."""


class FootfallError(Exception):
    """Something went wrong."""

    def __str__(self) -> str:
        return (type(self).__doc__ or "").format(**vars(self))


class HomeNotWritable(FootfallError):
    """cannot write to the home folder {home}: {reason} (choose another with --home or FOOTFALL_HOME)"""

    def __init__(self, home: object, reason: str) -> None:
        self.home, self.reason = home, reason


class EmbeddedPostgresFailed(FootfallError):
    """the embedded Postgres did not start: {reason} (its log: {log})"""

    def __init__(self, reason: str, log: object) -> None:
        self.reason, self.log = reason, log
