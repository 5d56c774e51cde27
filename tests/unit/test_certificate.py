"""What a certificate says of the places that an erasure does not reach."""

import pytest

from warehouse.people.certificate import _stays


@pytest.mark.parametrize(("address", "is_told"), [("s3://bucket/prefix", True), ("/srv/archive", False), (None, False)])
def test_older_versions_are_told_of_a_bucket_alone(address: str | None, is_told: bool) -> None:
    told = [one["why"] for one in _stays([], [], address) if one["what"].startswith("older versions")]
    assert [("NoncurrentVersionExpiration" in why) for why in told] == [True] * is_told
