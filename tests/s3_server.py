"""A real S3 server of its own process: SeaweedFS, which checks signatures and rights and keeps uploads in parts.

No test and no fixture here. It listens on 127.0.0.1, and its files are in a folder of the caller's.
"""

import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pyarrow import fs

WEED = Path(sys.executable).with_name("weed")
BUCKET = "sealed"
OWNER = {"AWS_ACCESS_KEY_ID": "the-owner", "AWS_SECRET_ACCESS_KEY": "the-owners-secret"}
READER = {"AWS_ACCESS_KEY_ID": "a-reader", "AWS_SECRET_ACCESS_KEY": "the-readers-secret"}
START_SECONDS = 60
# what SeaweedFS starts, each with a port for HTTP and one for gRPC
PARTS = ("master", "volume", "filer", "s3")
OFF = (
    *("-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0", "-s3.iam=false"),
    *("-s3.autoCreateBucket=false", "-master.volumeSizeLimitMB=64", "-volume.max=100"),
)


COUNTED = re.compile(r'SeaweedFS_s3_request_total\{.*code="2\d\d".*type="(?P<type>\w+)".*\} (?P<count>\d+)')


@dataclass(frozen=True)
class S3Server:
    """Where it listens, as this machine's owner of the bucket sees it."""

    port: int
    filer_port: int
    metrics_port: int

    def address(self, prefix: str, *, bucket: str = BUCKET) -> str:
        """An archive's address."""
        return f"s3://{bucket}/{prefix}?endpoint_override=127.0.0.1:{self.port}&scheme=http"

    @property
    def files(self) -> fs.S3FileSystem:
        """The owner's own way in, past footfall."""
        return fs.S3FileSystem(
            access_key=OWNER["AWS_ACCESS_KEY_ID"],
            secret_key=OWNER["AWS_SECRET_ACCESS_KEY"],
            endpoint_override=f"127.0.0.1:{self.port}",
            scheme="http",
            region="us-east-1",
            allow_bucket_creation=True,
        )

    def request_counts(self) -> dict[str, int]:
        """How many requests there were of each kind, as the server counts them."""
        url = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        counts = [COUNTED.match(line) for line in lines]
        return {found["type"]: int(found["count"]) for found in counts if found}

    def uploads_under_way(self) -> list[str]:
        """The uploads in parts that nobody has ended, or broken off."""
        url = f"http://127.0.0.1:{self.filer_port}/buckets/{BUCKET}/.uploads/"
        request = urllib.request.Request(url, headers={"Accept": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return [entry["FullPath"] for entry in json.load(answer)["Entries"] or []]
        except urllib.error.HTTPError:
            return []


@contextmanager
def s3_server(folder: Path) -> Iterator[S3Server]:
    """Start one with an empty bucket, and stop it at the end."""
    ports = _free_ports([*(f"{part}.port{kind}" for part in PARTS for kind in ("", ".grpc")), "metricsPort"])
    identities = [_identity(OWNER, "Admin"), _identity(READER, "Read", "List")]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    command = [
        *(str(WEED), "server", "-filer", "-s3", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", f"-dir={folder}"),
        *(f"-s3.config={folder / 's3.json'}", *OFF, *(f"-{flag}={port}" for flag, port in ports.items())),
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log, cwd=folder) as process:
        try:
            server = S3Server(ports["s3.port"], ports["filer.port"], ports["metricsPort"])
            _wait_until_it_answers(process, server)
            yield server
        finally:
            process.kill()
            process.wait()
            for port in ports.values():
                for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    left.unlink(missing_ok=True)


def _wait_until_it_answers(process: subprocess.Popen[bytes], server: S3Server) -> None:
    """Wait for its port, which is the last that it opens, then for its first object: it makes room for that."""
    end = time.monotonic() + START_SECONDS
    while not _listens(server.port):
        assert process.poll() is None, "the S3 server ended, see its log"
        assert time.monotonic() < end, "the S3 server does not start"
        time.sleep(0.05)
    server.files.create_dir(BUCKET)


def _listens(port: int) -> bool:
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _free_ports(flags: Sequence[str]) -> dict[str, int]:
    with ExitStack() as held:
        sockets = {flag: held.enter_context(socket.socket()) for flag in flags}
        for one in sockets.values():
            one.bind(("127.0.0.1", 0))
        return {flag: one.getsockname()[1] for flag, one in sockets.items()}


def _identity(credentials: dict[str, str], *actions: str) -> dict[str, object]:
    access, secret = credentials.values()
    return {"name": access, "credentials": [{"accessKey": access, "secretKey": secret}], "actions": list(actions)}
