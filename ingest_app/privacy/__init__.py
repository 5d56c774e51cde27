"""What is known of a sender, made anonymous before anything is stored or logged. Nothing else sees a raw address.

Here: addresses and hashes. What an agent tells is `user_agent.py`, where an address lies `country.py`. How many proxies
are believed is the app's business: what comes here is the sender's address already.
"""

import hmac
import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from ingest_app.privacy.country import CountryTable, read_country
from ingest_app.privacy.user_agent import UNKNOWN_DEVICE, Device, read_user_agent

__all__ = [
    "NOBODY",
    "CountryTable",
    "Device",
    "Privacy",
    "Sender",
    "identify",
    "keyed_hash",
    "read_address",
    "read_user_agent",
]

CACHED_SENDERS = 4_096
CACHED_LENGTH = 1_000
"""Characters of an agent above which a sender is not remembered: so the cache stays below 10 MB whatever is sent."""
WRITTEN_LENGTH = 100
# an address as proxies write it: in brackets, with a port, with the interface it came by
BRACKETED = re.compile(r"\[([^\]]*)\](?::\d*)?")
V4_WITH_PORT = re.compile(r"([\d.]+):\d*")


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a record: hashes of 64 hex digits, never the address itself; all empty for an app's own server."""

    ip_hash: str | None = None
    ua_hash: str | None = None
    device: Device = UNKNOWN_DEVICE
    country_code: str | None = None


NOBODY = Sender()


class Privacy:
    """Makes senders, with the secret of the hashes and the table of countries, if there is one.

    The last senders are remembered, with their raw addresses, in memory only: one that comes again costs 1 µs, not 20.
    """

    def __init__(self, secret: str, countries: CountryTable | None = None) -> None:
        self._secret, self._countries = secret, countries
        self._remembered = lru_cache(maxsize=CACHED_SENDERS)(self._sender)

    def sender(self, ip: str | None, user_agent: str | None, stated_country: str | None = None) -> Sender:
        """Hash the address and the agent, read the device and the country. What a trusted proxy states wins.

        An `ip` that is no address, and a `stated_country` that is no country, count as not given.
        """
        if len(user_agent or "") + len(ip or "") + len(stated_country or "") > CACHED_LENGTH:
            return self._sender(ip, user_agent, stated_country)
        return self._remembered(ip, user_agent, stated_country)

    def _sender(self, ip: str | None, user_agent: str | None, stated_country: str | None) -> Sender:
        address = read_address(ip) if ip else None
        return Sender(
            ip_hash=keyed_hash(self._secret, str(address)) if address else None,
            ua_hash=keyed_hash(self._secret, user_agent) if user_agent else None,
            device=read_user_agent(user_agent or ""),
            country_code=self._country(address, stated_country),
        )

    def _country(self, address: IPv4Address | IPv6Address | None, stated: str | None) -> str | None:
        if stated and (country := read_country(stated)):
            return country
        return self._countries.country_of(address) if self._countries and address else None


def identify(secret: str, ip: str | None, user_agent: str | None) -> Sender:
    """Return the sender without a country, remembering nobody. A host name, as web logs have it, is hashed as it is."""
    address = (read_address(ip) or ip) if ip else None
    return Sender(
        ip_hash=keyed_hash(secret, str(address)) if address else None,
        ua_hash=keyed_hash(secret, user_agent) if user_agent else None,
        device=read_user_agent(user_agent or ""),
    )


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """Read an address as proxies write it, so that one address has one hash; None if it is none.

    Brackets, port and zone (`[fe80::1%eth0]:443`) are left out, and `::ffff:192.0.2.1` is `192.0.2.1`.
    """
    written = text.strip()
    if len(written) > WRITTEN_LENGTH:
        return None
    if found := BRACKETED.fullmatch(written) or V4_WITH_PORT.fullmatch(written):
        written = found[1]
    try:
        address = ip_address(written.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def keyed_hash(secret: str, value: str) -> str:
    """Return HMAC-SHA256 in 64 hex digits: without the secret nobody can try all addresses (DESIGN section 5.3)."""
    return hmac.digest(secret.encode(), value.encode("utf-8", "surrogatepass"), "sha256").hex()
