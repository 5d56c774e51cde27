"""What an archive's address may be. No archive is opened here: those who only read settings ask as well."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

from warehouse.archive.errors import ArchiveAddressWrong

S3 = "s3://"
# of what pyarrow reads from such an address, all but credentials and what makes or removes buckets
S3_OPTIONS = frozenset({"endpoint_override", "region", "scheme"})
SCHEMES = ("http", "https")
# of each, the first that is set
AWS = (("AWS_REGION", "AWS_DEFAULT_REGION"), ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"))


@dataclass(frozen=True, slots=True)
class S3Address:
    """A bucket, the prefix of all keys, and how the bucket is reached."""

    bucket: str
    prefix: str
    options: Mapping[str, str]

    @property
    def root(self) -> str:
        """What stands before `/` and a file's name in S3's own words: bucket and prefix."""
        return f"{self.bucket}/{self.prefix}"

    def __str__(self) -> str:
        """Say it in a message."""
        endpoint = self.options.get("endpoint_override")
        return f"{S3}{self.root}" + (f" at {endpoint}" if endpoint else "")


def is_s3(address: str | None) -> bool:
    """Tell whether the archive is in an S3 bucket."""
    return bool(address) and str(address).startswith(S3)


def absolute_address(address: str | None, environment: Mapping[str, str] | None = None) -> str | None:
    """Make an address mean the same to every process that is started with it; None where none is.

    A folder's path becomes absolute. To that of a bucket come the region and the endpoint that AWS's tools would take
    from the environment, if it has none itself.
    """
    if not address:
        return None
    return _with_aws(address, environment or {}) if is_s3(address) else str(Path(address).expanduser().absolute())


def _with_aws(address: str, environment: Mapping[str, str]) -> str:
    given = dict(parse_qsl(urlsplit(address).query))
    region, endpoint = (next((environment[name] for name in names if environment.get(name)), "") for names in AWS)
    added = {"region": region} if region else {}
    if endpoint and "endpoint_override" not in given:
        scheme, _, host = endpoint.rpartition("://")
        added |= {"endpoint_override": host.rstrip("/"), "scheme": scheme or "https"}
    options = urlencode({name: value for name, value in added.items() if name not in given}, safe=":@/")
    return address + ("&" if given else "?") + options if options else address


def read_s3_address(address: str) -> S3Address:
    """Read `s3://bucket/prefix?option=value`. Raises ArchiveAddressWrong, which repeats no value."""
    parts = urlsplit(address)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    if "@" in parts.netloc or "@" in options.get("endpoint_override", ""):
        # else they would be in the environment of every process, and in what lists processes
        raise ArchiveAddressWrong("has credentials in it: name them in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if unknown := sorted(options.keys() - S3_OPTIONS):
        raise ArchiveAddressWrong(f"has the option {unknown[0]}: there are {', '.join(sorted(S3_OPTIONS))}")
    if not parts.netloc:
        raise ArchiveAddressWrong("names no bucket: it is s3://bucket/prefix")
    if options.get("scheme", "https") not in SCHEMES:
        raise ArchiveAddressWrong("has another scheme than http and https")
    if not parts.path.strip("/"):
        # what else is in the bucket would be listed as part of the archive
        raise ArchiveAddressWrong("names no prefix, and a whole bucket is no archive: it is s3://bucket/prefix")
    return S3Address(parts.netloc, parts.path.strip("/"), options)
