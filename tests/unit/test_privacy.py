"""That an address cannot be told from its hash, that it has one hash however written, and where its country is from."""

from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_app.privacy import CountryTable, Device, Privacy, identify, keyed_hash, read_address

IP = "192.0.2.1"
CURL = "curl/8.1"


@pytest.fixture
def privacy(tmp_path: Path) -> Privacy:
    """Knows that 192.0.2.0/24 lies in Japan."""
    path = tmp_path / "geoip"
    path.write_text(f"{int(IPv4Address('192.0.2.0'))},{int(IPv4Address('192.0.2.255'))},JP\n")
    return Privacy("secret", CountryTable.read(path))


def test_hash_depends_on_secret_and_address() -> None:
    hashes = {keyed_hash(secret, ip) for secret in ("a", "b") for ip in ("192.0.2.1", "192.0.2.2")}
    assert len(hashes) == 4
    assert all(len(found) == 64 for found in hashes)
    # RFC 4231, test case 2
    assert keyed_hash("Jefe", "what do ya want for nothing?") == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


def test_sender_holds_no_raw_address_or_agent(privacy: Privacy) -> None:
    shown = repr(privacy.sender(IP, CURL))
    assert IP not in shown
    assert CURL not in shown


def test_sender_is_hashes_device_and_country(privacy: Privacy) -> None:
    found = privacy.sender(IP, CURL)
    assert found.ip_hash == keyed_hash("secret", IP)
    assert found.ua_hash == keyed_hash("secret", CURL)
    assert found.device == Device(is_bot=True)
    assert found.country_code == "JP"


def test_nothing_known_gives_nothing(privacy: Privacy) -> None:
    found = privacy.sender(None, None, None)
    assert (found.ip_hash, found.ua_hash, found.device, found.country_code) == (None, None, Device(), None)


@pytest.mark.parametrize(
    ("stated", "country"), [("de", "DE"), ("XX", "JP"), ("T1", "JP"), ("nonsense", "JP"), ("", "JP")]
)
def test_proxys_country_wins_over_the_table(privacy: Privacy, stated: str, country: str) -> None:
    assert privacy.sender(IP, CURL, stated).country_code == country


def test_country_without_a_table_is_the_proxys() -> None:
    assert Privacy("secret").sender(IP, CURL, "DE").country_code == "DE"
    assert Privacy("secret").sender(IP, CURL).country_code is None


@pytest.mark.parametrize(
    "text", ["unknown", "example.org", "1.2.3", "1.2.3.4.5", "[]", ":", "", "1.2.3.4, 5.6.7.8", "9" * 9999]
)
def test_what_is_no_address_is_not_hashed(privacy: Privacy, text: str) -> None:
    found = privacy.sender(text, CURL)
    assert (found.ip_hash, found.country_code) == (None, None)


@given(st.ip_addresses(v=4), st.integers(0, 65_535))
def test_ipv4_address_has_one_hash_however_written(address: IPv4Address, port: int) -> None:
    spellings = [f"{address}", f" {address} ", f"{address}:{port}", f"::ffff:{address}", f"[::FFFF:{address}]:{port}"]
    assert {read_address(text) for text in spellings} == {address}
    hashes = {Privacy("secret").sender(text, None).ip_hash for text in spellings}
    assert hashes == {keyed_hash("secret", str(address))}


# above the addresses that hold an IPv4 one
@given(st.integers(2**96, 2**128 - 1).map(IPv6Address), st.integers(0, 65_535))
def test_ipv6_address_has_one_hash_however_written(address: IPv6Address, port: int) -> None:
    spellings = [f"{address}", address.exploded.upper(), f"[{address}]", f"[{address}]:{port}", f"{address}%eth0"]
    spellings.append(f"[{address}%25eth0]:{port}")
    assert {read_address(text) for text in spellings} == {address}


@given(ip=st.text(max_size=50) | st.ip_addresses().map(str), agent=st.text(max_size=50), stated=st.text(max_size=3))
def test_remembered_sender_equals_a_new_one(ip: str, agent: str, stated: str) -> None:
    remembering = Privacy("secret")
    first = remembering.sender(ip, agent, stated)
    assert remembering.sender(ip, agent, stated) == first == Privacy("secret").sender(ip, agent, stated)


def test_agents_that_differ_late_have_hashes_of_their_own(privacy: Privacy) -> None:
    agents = [f"{'x' * 100_000}{end}" for end in "ab"]
    assert len({privacy.sender(IP, agent).ua_hash for agent in agents}) == 2


def test_long_agents_are_not_remembered(privacy: Privacy) -> None:
    long = "x" * 1_001
    assert privacy.sender(IP, long) is not privacy.sender(IP, long)
    assert privacy.sender(IP, CURL) is privacy.sender(IP, CURL)


def test_host_name_of_a_web_log_is_hashed() -> None:
    assert identify("secret", "host.example", CURL).ip_hash == keyed_hash("secret", "host.example")
    assert identify("secret", f"::ffff:{IP}", CURL).ip_hash == keyed_hash("secret", IP)
    assert identify("secret", None, None).ip_hash is None
