"""What an archive's address may be, for those who only read settings: no archive is opened here."""

from pathlib import Path

S3 = "s3://"


def is_s3(address: str | None) -> bool:
    """Tell whether the archive is in an S3 bucket."""
    return bool(address) and str(address).startswith(S3)


def absolute_address(address: str | None) -> str | None:
    """Make a folder's path absolute, since processes that are started with it work elsewhere; None where none is."""
    if not address or is_s3(address):
        return address or None
    return str(Path(address).expanduser().absolute())
