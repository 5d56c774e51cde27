"""What can go wrong on the read side. The class docstring is the message, data travel as attributes."""

from collections.abc import Mapping
from pathlib import Path


class AdminError(Exception):
    """something went wrong on the read side"""

    def __str__(self) -> str:
        return (type(self).__doc__ or "").format(**vars(self))


class RequestRefused(AdminError):
    """{message}"""

    status = 400
    code = "bad_request"
    retry_after_seconds: int | None = None

    def __init__(self, message: str, field: str | None = None) -> None:
        self.message, self.field = message, field


class ParametersRefused(RequestRefused):
    """{message}"""

    code = "invalid_parameter"

    def __init__(self, faults: Mapping[str, str]) -> None:
        """`faults` says of each bad or unknown parameter what is wrong with it."""
        self.faults = dict(faults)
        super().__init__("; ".join(f"{name}: {why}" for name, why in faults.items()), next(iter(faults), None))


class NotSignedIn(RequestRefused):
    """sign in with an admin key, or send one: `Authorization: Bearer KEY`"""

    status = 401
    code = "not_authenticated"

    def __init__(self) -> None:
        super().__init__("")


class WrongScope(RequestRefused):
    """this needs a key of scope admin, this one has {scope}"""

    status = 403
    code = "not_allowed"

    def __init__(self, scope: str) -> None:
        super().__init__("")
        self.scope = scope


class FormExpired(RequestRefused):
    """this form is not of your present session: open the page again, then send it again"""

    status = 400
    code = "csrf_token"

    def __init__(self) -> None:
        super().__init__("")


class TooManyTries(RequestRefused):
    """too many tries with keys that do not work: try again in {retry_after_seconds} seconds"""

    status = 429
    code = "too_many_requests"

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__("")
        self.retry_after_seconds = retry_after_seconds


class ChangedMeanwhile(RequestRefused):
    """somebody else has set {key} meanwhile, to {value}: look at it, then decide again"""

    status = 409
    code = "changed_meanwhile"

    def __init__(self, key: str, value: str | None) -> None:
        super().__init__("", key)
        self.key, self.value = key, value


class NoSuchKey(RequestRefused):
    """there is no key {key_id} that works"""

    status = 404
    code = "not_found"

    def __init__(self, key_id: int) -> None:
        super().__init__("")
        self.key_id = key_id


class KeyInUse(RequestRefused):
    """key {key_id} is the one you are using: revoke it with another one"""

    status = 409
    code = "key_in_use"

    def __init__(self, key_id: int) -> None:
        super().__init__("")
        self.key_id = key_id


class PostgresAway(RequestRefused):
    """Postgres does not answer, nothing was changed: try again in a moment"""

    status = 503
    code = "database_unavailable"
    retry_after_seconds = 5

    def __init__(self) -> None:
        super().__init__("")


class PublishedUnreadable(RequestRefused):
    """the published file cannot be read just now: try again in a moment (`footfall refresh` makes a new one)"""

    status = 503
    code = "published_unreadable"
    retry_after_seconds = 5

    def __init__(self) -> None:
        super().__init__("")


class TooMuchAsked(RequestRefused):
    """this would need more memory than one question may: ask for fewer days, or by fewer columns"""

    code = "too_much_asked"

    def __init__(self) -> None:
        super().__init__("")


class KeysUnknown(RequestRefused):
    """Postgres could not be asked yet which keys there are: try again in a moment"""

    status = 503
    code = "not_ready"
    retry_after_seconds = 5

    def __init__(self) -> None:
        super().__init__("")


class ScriptNotMade(RequestRefused):
    """the JavaScript that draws charts could not be put at {path}: {reason} (the log says more); tables need none"""

    status = 503
    code = "script_not_made"

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__("")
        self.path, self.reason = path, reason


class UnknownReport(RequestRefused):
    """there is no report {name!r}, but these: {known}"""

    status = 404
    code = "not_found"

    def __init__(self, name: str, known: str) -> None:
        super().__init__("")
        self.name, self.known = name, known


class NotPublished(RequestRefused):
    """nothing is published yet: `footfall refresh` does it now, `footfall up` within five minutes of its start"""

    status = 503
    code = "not_published"
    retry_after_seconds = 60

    def __init__(self) -> None:
        super().__init__("")


class NowUnknown(RequestRefused):
    """Postgres did not answer since this process began, so nothing is known of now: `footfall doctor` says why"""

    status = 503
    code = "database_unavailable"
    retry_after_seconds = 5

    def __init__(self) -> None:
        super().__init__("")
