"""What can go wrong around the rooms: the home folder, ports, children. The class docstring is the message."""


class FootfallError(Exception):
    """Something went wrong."""

    def __str__(self) -> str:
        return (type(self).__doc__ or "").format(**vars(self))


class WrongSetting(FootfallError):
    """wrong setting in the environment: {faults}"""

    def __init__(self, faults: str) -> None:
        self.faults = faults


class HomeNotWritable(FootfallError):
    """cannot write to the home folder {home}: {reason} (choose another with --home or FOOTFALL_HOME)"""

    def __init__(self, home: object, reason: str) -> None:
        self.home, self.reason = home, reason


class HomeInUse(FootfallError):
    """footfall is already up on {home} (process {pid}): stop it first, or choose another with --home"""

    def __init__(self, home: object, pid: str) -> None:
        self.home, self.pid = home, pid


class NoPostgresYet(FootfallError):
    """there is no Postgres in {home} yet: run `footfall up`, set DATABASE_URL, or name another folder with --home"""

    def __init__(self, home: object) -> None:
        self.home = home


class EmbeddedPostgresFailed(FootfallError):
    """the embedded Postgres did not start: {reason} (its log: {log})"""

    def __init__(self, reason: str, log: object) -> None:
        self.reason, self.log = reason, log


class PortTaken(FootfallError):
    """port {port} of 127.0.0.1 is taken, {name} needs it: stop what listens there, or set {variable}"""

    def __init__(self, port: int, name: str, variable: str) -> None:
        self.port, self.name, self.variable = port, name, variable


class RoleNeedsSettings(FootfallError):
    """`footfall up --only {role}` is one of several hosts: set {missing}, to the same value on each"""

    def __init__(self, role: str, missing: str) -> None:
        self.role, self.missing = role, missing


class ChildNotReady(FootfallError):
    """{name} did not answer within {seconds:.0f} s: read {log}"""

    def __init__(self, name: str, seconds: float, log: object) -> None:
        self.name, self.seconds, self.log = name, seconds, log


class NoSuchKey(FootfallError):
    """there is no key {key_id} that still works: see `footfall keys list`"""

    def __init__(self, key_id: int) -> None:
        self.key_id = key_id


class NoSuchRule(FootfallError):
    """there is no rule for {subject}: see `footfall rules list`"""

    def __init__(self, subject: str) -> None:
        self.subject = subject


class SettingNotSet(FootfallError):
    """{key} has no value, its row is gone: run `footfall settings set {key} {default}`"""

    def __init__(self, key: str, default: int) -> None:
        self.key, self.default = key, default


class DagsterSchemaRefused(FootfallError):
    """Postgres refused to make the schema {schema} for Dagster: {reason} (its owner can: {remedy})"""

    def __init__(self, schema: str, reason: str, remedy: str) -> None:
        self.schema, self.reason, self.remedy = schema, reason, remedy


class NotPublished(FootfallError):
    """there is no published file at {path} yet: run `footfall refresh`, or name another home folder with --home"""

    def __init__(self, path: object) -> None:
        self.path = path


class PublishedUnreadable(FootfallError):
    """cannot open {path}: {reason}"""

    def __init__(self, path: object, reason: str) -> None:
        self.path, self.reason = path, reason


class QueryRefused(FootfallError):
    """the query failed{place}: {reason}"""

    def __init__(self, reason: str, place: str = "") -> None:
        self.reason, self.place = reason, place


class AnswerNotWritten(FootfallError):
    """cannot write the answer to {path}: {reason}"""

    def __init__(self, path: object, reason: str) -> None:
        self.path, self.reason = path, reason


class RecordsStillRejected(FootfallError):
    """{kept} records are in Postgres now, {stayed} are still refused: see `footfall rejected list` for the reasons"""

    def __init__(self, kept: int, stayed: int) -> None:
        self.kept, self.stayed = kept, stayed


class NotDelivered(FootfallError):
    """the alert was not sent by {channel}: {reason}"""

    def __init__(self, channel: str, reason: str) -> None:
        self.channel, self.reason = channel, reason


class AlreadyWatched(FootfallError):
    """another watcher works on {home}: there is one a home folder, and `footfall up` starts it"""

    def __init__(self, home: object) -> None:
        self.home = home
