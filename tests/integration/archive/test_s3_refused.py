"""A bucket that is away, closed or not there: one clear line, no credential in it, and nothing half-written."""

import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.archive.sealing import Home
from tests.integration.archive.test_s3 import SEALED
from tests.s3_server import OWNER, READER, S3Server
from warehouse.archive.errors import ArchiveAddressWrong, ArchiveError, ArchiveUnusable, BucketMissing
from warehouse.archive.sources import prepare_sources
from warehouse.archive.store import open_archive

SECRET = "a-secret-of-somebody"


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening.getsockname()[1]


def refusal(home: Home) -> str:
    """What a refresh says, which changes nothing."""
    with pytest.raises(ArchiveError) as raised:
        prepare_sources(home.warehouse_path, home.archive_address)
    told = str(raised.value)
    assert len(told.splitlines()) == 1
    assert str(home.archive_address).partition("?")[0] in told
    assert not any(secret in told for secret in (OWNER["AWS_SECRET_ACCESS_KEY"], SECRET))
    return told


def test_missing_bucket_is_named(home: Home, s3: S3Server) -> None:
    away = replace(home, archive_address=s3.address("footfall", bucket="no-bucket"))
    assert f"there is no bucket for the archive s3://no-bucket/footfall at 127.0.0.1:{s3.port}: make it" in refusal(
        away
    )
    with pytest.raises(BucketMissing):
        away.seal()


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_ACCESS_KEY_ID", "nobody"), ("AWS_SECRET_ACCESS_KEY", SECRET)],
    ids=["unknown key", "wrong secret"],
)
def test_wrong_credentials_stop_a_refresh(
    s3_home: Home, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    s3_home.seal()
    monkeypatch.setenv(name, value)
    assert "check AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" in refusal(s3_home)


def test_who_may_only_read_seals_nothing(s3_home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    before = s3_home.sources()
    with monkeypatch.context() as patch:
        for name, value in READER.items():
            patch.setenv(name, value)
        with pytest.raises(
            ArchiveUnusable, match=r"does not take .*: ACCESS_DENIED during .* \(check AWS_ACCESS_KEY_ID"
        ):
            s3_home.seal()
        assert s3_home.sources() == before
    assert s3_home.store.listing() == {}
    assert s3_home.seal() == SEALED


def test_endpoint_that_is_away_is_named_soon(s3_home: Home, s3: S3Server) -> None:
    address = str(s3_home.archive_address).replace(str(s3.port), "1")
    started = time.monotonic()
    told = refusal(replace(s3_home, archive_address=address))
    assert "NETWORK_CONNECTION" in told
    assert "check the network, and the endpoint in FOOTFALL_ARCHIVE" in told
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(
    ("address", "told"),
    [
        (f"s3://somebody:{SECRET}@bucket/prefix", "has credentials in it: name them in AWS_ACCESS_KEY_ID"),
        (f"s3://bucket/prefix?endpoint_override=somebody:{SECRET}@host", "has credentials in it"),
        (
            f"s3://bucket/prefix?secret_key={SECRET}",
            "has the option secret_key: there are endpoint_override, region, scheme",
        ),
        ("s3:///prefix", "names no bucket"),
        ("s3://bucket/", "names no prefix, and a whole bucket is no archive"),
        ("s3://bucket/prefix?scheme=ftp", "has another scheme"),
    ],
    ids=["of the bucket", "of the endpoint", "as an option", "no bucket", "no prefix", "scheme"],
)
def test_wrong_address_is_told_without_its_secret(address: str, told: str, tmp_path: Path) -> None:
    with pytest.raises(ArchiveAddressWrong, match=told) as raised:
        open_archive(address, tmp_path / "warehouse" / "warehouse.duckdb")
    assert SECRET not in str(raised.value)
    assert str(raised.value).startswith("FOOTFALL_ARCHIVE ")


def test_silent_server_is_not_waited_for_long(
    s3_home: Home, s3: S3Server, silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twice as long as one try waits, which is shorter here."""
    monkeypatch.setattr("warehouse.archive.s3.SILENT_SECONDS", 1)
    address = str(s3_home.archive_address).replace(str(s3.port), str(silent_port))
    started = time.monotonic()
    assert "NETWORK_CONNECTION" in refusal(replace(s3_home, archive_address=address))
    assert time.monotonic() - started < 10
