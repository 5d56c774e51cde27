"""An archive in an S3 bucket, on pyarrow's filesystem. How DuckDB reads it is in `warehouse.archive.s3_reader`.

Credentials come from where AWS's own tools have them (environment, profile, machine), and are never seen here.
"""

import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

import duckdb
from pyarrow import NativeFile, fs

from warehouse.archive.address import S3, S3Address
from warehouse.archive.errors import ArchiveUnusable, BucketMissing
from warehouse.archive.s3_reader import SealedFiles
from warehouse.archive.store import LAKE, NOT_IN_PLACE_YET, Archive, Listed, is_unfinished

# an S3 that is away stops a refresh within a minute: each of two tries ends after as long as nothing is heard
CONNECT_SECONDS = 5
SILENT_SECONDS = 10
TRIES = 2
CHUNK_BYTES = 1 << 20
# `verify` may read beside a seal: what it has downloaded is not of somebody who was killed
KEEP_DOWNLOADS_SECONDS = 24 * 60 * 60
NANOSECONDS = 1_000_000_000

CREDENTIALS = (
    "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, and that they may list, read, write and delete"
)
ADVICE = {
    "NETWORK_CONNECTION": "check the network, and the endpoint in FOOTFALL_ARCHIVE; nothing is lost, try again then",
    "ACCESS_DENIED": CREDENTIALS,
    "INVALID_ACCESS_KEY_ID": CREDENTIALS,
    "SIGNATURE_DOES_NOT_MATCH": CREDENTIALS,
}


class S3Archive(Archive):
    """Files are objects below one prefix. What is written here is only ever read back from the bucket."""

    def __init__(self, place: S3Address, staging_folder: Path) -> None:
        """Connect to nothing yet; `staging_folder` is on a local disk, and this archive's own."""
        self._place = place
        self._staging = staging_folder
        self._known: dict[str, Listed] | None = None
        self.address = str(place)

    @cached_property
    def _files(self) -> fs.S3FileSystem:
        options = dict(self._place.options)
        if not options.keys() & {"region", "endpoint_override"}:
            with self._answering("say its region"):
                options["region"] = fs.resolve_s3_region(self._place.bucket)
        return fs.S3FileSystem(
            **options,
            connect_timeout=CONNECT_SECONDS,
            request_timeout=SILENT_SECONDS,
            retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=TRIES),
        )

    def listing(self, under: str = "") -> Mapping[str, Listed]:
        """List the prefix, a thousand files a request."""
        with self._answering("list its files"):
            selector = fs.FileSelector(self._path(under).rstrip("/"), recursive=True, allow_not_found=True)
            found = self._files.get_file_info(selector)
        if not found:
            self._require_bucket()
        files = {self._name(info.path): _listed(info) for info in found if info.type == fs.FileType.File}
        known = {name: listed for name, listed in files.items() if not name.endswith(NOT_IN_PLACE_YET)}
        if under:
            return known
        self._known = known
        return {name: listed for name, listed in known.items() if not name.startswith(f"{LAKE}/")}

    def look(self, name: str) -> Listed | None:
        """Ask for the one object."""
        with self._answering(f"tell of {name}"):
            info = self._files.get_file_info(self._path(name))
        return _listed(info) if info.type == fs.FileType.File else None

    def known(self, name: str) -> Listed | None:
        """Return what this archive was last told of a file, so that a reader of many does not ask for each."""
        if self._known is None:
            self.listing()
        known = self._known or {}
        if name not in known and (found := self.look(name)):
            known[name] = found
        return known.get(name)

    def open(self, name: str) -> NativeFile:
        """Open a file of the bucket to read in any order."""
        with self._answering(f"give {name}"):
            return self._files.open_input_file(self._path(name))

    def read_text(self, name: str) -> str | None:
        """Read it without a file of the local disk."""
        try:
            with self._answering(f"give {name}"), self._files.open_input_stream(self._path(name)) as stream:
                content: bytes = stream.read()
        except FileNotFoundError:
            self._require_bucket()
            return None
        return content.decode(errors="surrogateescape")

    def staging(self, name: str) -> Path:
        """Return a path of the home folder."""
        path = self._staging / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def put_in_place(self, name: str) -> None:
        """Upload it under another key, and let the store copy it to its own once it has as many bytes as here.

        A stream that is closed by an error ends its upload as if it were whole, so that alone gives no name away.
        """
        staged, unfinished = self.staging(name), self._path(name) + NOT_IN_PLACE_YET
        with self._answering(f"take {name}"):
            with staged.open("rb") as source, self._files.open_output_stream(unfinished) as sink:
                shutil.copyfileobj(source, sink, CHUNK_BYTES)
            uploaded, written = self._files.get_file_info(unfinished).size, staged.stat().st_size
            if uploaded != written:
                reason = f"it has {uploaded} bytes of {written:,}"
                raise ArchiveUnusable(self.address, f"take {name}", reason, "try again")
            self._files.move(unfinished, self._path(name))
        self._forget(name)
        staged.unlink()

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """Download it into the home folder, for as long as the block lasts."""
        downloads = self._staging / "downloads"
        downloads.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=downloads) as folder:
            path = Path(folder) / PurePosixPath(name).name
            with (
                self._answering(f"give {name}"),
                self._files.open_input_stream(self._path(name)) as source,
                path.open("wb") as sink,
            ):
                shutil.copyfileobj(source, sink, CHUNK_BYTES)
            yield path

    def remove(self, name: str) -> None:
        """Remove the object, what is in staging, and what is under the key of an upload."""
        self.staging(name).unlink(missing_ok=True)
        self._forget(name)
        for path in (self._path(name), self._path(name) + NOT_IN_PLACE_YET):
            with suppress(FileNotFoundError), self._answering(f"remove {name}"):
                self._files.delete_file(path)

    def rename(self, name: str, new_name: str) -> None:
        """Let the store copy it, then remove the old one."""
        with self._answering(f"rename {name}"):
            self._files.move(self._path(name), self._path(new_name))
        self._forget(name)

    def remove_unfinished(self) -> None:
        """Remove uploads that were not given their name, and what a killed process left on the local disk."""
        with self._answering("list its files"):
            selector = fs.FileSelector(self._place.root, recursive=True, allow_not_found=True)
            unfinished = [it.path for it in self._files.get_file_info(selector) if is_unfinished(self._name(it.path))]
        for path in unfinished:
            with self._answering(f"remove {self._name(path)}"):
                self._files.delete_file(path)
        for path in self._staging.glob("*"):
            if path.name != "downloads":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        for folder in self._staging.glob("downloads/*"):
            if folder.stat().st_mtime < time.time() - KEEP_DOWNLOADS_SECONDS:
                shutil.rmtree(folder)

    def url(self, name: str) -> str:
        """Return `s3://bucket/prefix/name`: neither the way to the bucket nor a credential is in it."""
        return f"{S3}{self._path(name)}"

    def attach(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Register a reader of this archive; in a database whose footers it has read, they are not read again."""
        if connection.filesystem_is_registered(SealedFiles.protocol):
            connection.unregister_filesystem(SealedFiles.protocol)
        connection.register_filesystem(SealedFiles(self))
        connection.execute("SET parquet_metadata_cache = true")

    def _path(self, name: str) -> str:
        return f"{self._place.root}/{name}"

    def _name(self, path: str) -> str:
        return path.removeprefix(f"{self._place.root}/")

    def _forget(self, name: str) -> None:
        if self._known:
            self._known.pop(name, None)

    def _require_bucket(self) -> None:
        """Tell an empty prefix from a bucket that is not there, which S3 lists alike."""
        with self._answering("tell of its bucket"):
            info = self._files.get_file_info(self._place.bucket)
        if info.type == fs.FileType.NotFound:
            raise BucketMissing(self.address)

    @contextmanager
    def _answering(self, purpose: str) -> Iterator[None]:
        """Put what AWS's client says into one line. A file that is not there stays that.

        Raises BucketMissing, ArchiveUnusable.
        """
        try:
            yield
        except OSError as error:
            # those of the local disk have a number
            if error.errno is not None:
                raise
            if "NO_SUCH_BUCKET" in str(error):
                raise BucketMissing(self.address) from None
            raise ArchiveUnusable(self.address, purpose, _reason(error), _advice(error)) from None


def _listed(info: fs.FileInfo) -> Listed:
    """Read a listing's line; some servers round the time to seconds in one answer and not in another."""
    return Listed(info.size, info.mtime_ns // NANOSECONDS * NANOSECONDS)


def _reason(error: OSError) -> str:
    """Leave out what is in the purpose already, and what no reader can use."""
    found = re.search(r"AWS Error (.*?)(?: *\(Request ID: .*)?$", " ".join(str(error).split()))
    return found.group(1) if found else str(error)


def _advice(error: OSError) -> str:
    return next((advice for code, advice in ADVICE.items() if code in str(error)), "see what the store's operator says")
