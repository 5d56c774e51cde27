"""What a user agent tells, and that an address cannot be told from its hash."""

import pytest

from ingest_app.privacy import Device, identify, keyed_hash, read_user_agent


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0 Safari/537.36",
            Device("Windows", "desktop"),
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1.15 "
            "Version/17.0 Mobile/15E148 Safari/604.1",
            Device("iOS", "mobile"),
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 16_0 like Mac OS X) AppleWebKit/605.1 Version/16.0 Mobile/15E148 Safari/604.1",
            Device("iOS", "tablet"),
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-X200) AppleWebKit/537.36 Chrome/110.0 Safari/537.36",
            Device("Android", "tablet"),
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 Chrome/110.0 Mobile Safari/537.36",
            Device("Android", "mobile"),
        ),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", Device(is_bot=True)),
        ("python-requests/2.32", Device()),
        ("", Device()),
    ],
)
def test_user_agent_tells_os_device_and_bot(user_agent: str, expected: Device) -> None:
    assert read_user_agent(user_agent) == expected


def test_hash_depends_on_secret_and_address() -> None:
    hashes = {keyed_hash(secret, ip) for secret in ("a", "b") for ip in ("192.0.2.1", "192.0.2.2")}
    assert len(hashes) == 4
    assert all(len(found) == 64 for found in hashes)
    # RFC 4231, test case 2
    assert keyed_hash("Jefe", "what do ya want for nothing?").startswith("5bdcc146bf60754e6a042426089575c7")


def test_sender_holds_no_raw_address() -> None:
    sender = identify("secret", "192.0.2.1", "curl/8.1")
    assert "192.0.2.1" not in repr(sender)
    assert identify("secret", None, None).ip_hash is None
