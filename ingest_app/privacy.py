"""What is known of a sender, made anonymous before anything is stored or logged. Nothing else sees a raw IP."""

import hashlib
import hmac
from dataclasses import dataclass
from functools import lru_cache

from ua_parser import parse

TABLET_NAMES = ("iPad", "Tablet", "Kindle", "PlayBook")
OS_NAME_LENGTH = 50


@dataclass(frozen=True, slots=True)
class Device:
    """What a user agent tells: `os` of at most 50 characters, `device_type` of the seed's three, the bot mark."""

    os: str | None = None
    device_type: str | None = None
    is_bot: bool = False


UNKNOWN_DEVICE = Device()


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a record: hashes of 64 hex digits, never the address itself; all empty for an app's own server."""

    ip_hash: str | None = None
    ua_hash: str | None = None
    device: Device = UNKNOWN_DEVICE


NOBODY = Sender()


def identify(secret: str, ip: str | None, user_agent: str | None) -> Sender:
    """Hash the address and the user agent and read the device from the latter."""
    return Sender(
        ip_hash=keyed_hash(secret, ip) if ip else None,
        ua_hash=keyed_hash(secret, user_agent) if user_agent else None,
        device=read_user_agent(user_agent or ""),
    )


def keyed_hash(secret: str, value: str) -> str:
    """Return HMAC-SHA256 in 64 hex digits: without the secret nobody can try all addresses (DESIGN section 5.3)."""
    return hmac.new(secret.encode(), value.encode(), hashlib.sha256).hexdigest()


@lru_cache(maxsize=10_000)
def read_user_agent(user_agent: str) -> Device:
    """Read os, device type and bot mark by the rules of uap-core; what it does not know stays None."""
    found = parse(user_agent)
    os_name = found.os.family[:OS_NAME_LENGTH] if found.os else None
    if found.device and found.device.brand == "Spider":
        return Device(os=os_name, is_bot=True)
    if found.device is None and os_name is None:
        return Device()
    brand = (found.device and found.device.brand) or ""
    return Device(os=os_name, device_type=_device_type(user_agent, os_name, brand))


def _device_type(user_agent: str, os_name: str | None, brand: str) -> str:
    if any(name in user_agent for name in TABLET_NAMES) or "Tablet" in brand:
        return "tablet"
    # Android's own rule: a phone says Mobile, a tablet does not
    if os_name == "Android" and "Mobile" not in user_agent:
        return "tablet"
    return "mobile" if "Mobi" in user_agent or os_name in {"Android", "iOS"} else "desktop"
