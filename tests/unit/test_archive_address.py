"""Where a bucket is: what the address says goes before what AWS's variables say."""

import pytest

from footfall.settings import read_settings
from pipelines.settings import Settings
from warehouse.archive.address import absolute_address


@pytest.mark.parametrize(
    ("address", "environment", "completed"),
    [
        ("s3://b/p", {}, "s3://b/p"),
        ("s3://b/p", {"AWS_DEFAULT_REGION": "eu-west-1"}, "s3://b/p?region=eu-west-1"),
        ("s3://b/p?region=x", {"AWS_REGION": "eu-west-1"}, "s3://b/p?region=x"),
        (
            "s3://b/p?region=x",
            {"AWS_ENDPOINT_URL": "http://minio:9000/"},
            "s3://b/p?region=x&endpoint_override=minio:9000&scheme=http",
        ),
        ("s3://b/p?endpoint_override=a:1", {"AWS_ENDPOINT_URL": "http://b:2"}, "s3://b/p?endpoint_override=a:1"),
        ("/a/folder", {"AWS_REGION": "eu-west-1"}, "/a/folder"),
    ],
    ids=["nothing", "region", "region of its own", "endpoint", "endpoint of its own", "folder"],
)
def test_address_takes_region_and_endpoint_from_aws(address: str, environment: dict[str, str], completed: str) -> None:
    assert absolute_address(address, environment) == completed
    assert absolute_address(completed, environment) == completed


def test_settings_read_region_and_endpoint_of_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOOTFALL_ARCHIVE", "s3://b/p")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://minio:9000")
    completed = "s3://b/p?region=eu-west-1&endpoint_override=minio:9000&scheme=http"
    assert read_settings().archive_address == completed
    assert Settings(database_url="postgresql://x").archive_address == completed
