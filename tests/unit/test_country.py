"""Where an address lies by the table: borders, gaps, both families; and that a broken table is never half read."""

import gzip
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_app.errors import CountryTableUnreadable
from ingest_app.privacy.country import CountryTable, read_country

GEOIP = """# a comment

16777216,16777471,AU
16777472,16778239,CN
16785408,16785663,??
16785664,16785919,EU
4294967040,4294967295,JP
"""
GEOIP6 = """2001:200::,2001:200:ffff:ffff:ffff:ffff:ffff:ffff,JP
2001:678:1::,2001:678:1::ffff,DE
2001:678:1::1:0,2001:678:1::1:ffff,FR
2001:678:1:0:8000::,2001:678:1:0:ffff:ffff:ffff:ffff,NL
"""


@pytest.fixture
def table(tmp_path: Path) -> CountryTable:
    (tmp_path / "geoip").write_text(GEOIP)
    (tmp_path / "geoip6.gz").write_bytes(gzip.compress(GEOIP6.encode()))
    return CountryTable.read(tmp_path)


@pytest.mark.parametrize(
    ("address", "country"),
    [
        ("0.0.0.0", None),
        ("0.255.255.255", None),
        ("1.0.0.0", "AU"),
        ("1.0.0.255", "AU"),
        ("1.0.1.0", "CN"),
        ("1.0.3.255", "CN"),
        ("1.0.4.0", None),
        ("1.0.32.1", None),
        ("1.0.33.1", None),
        ("255.255.255.255", "JP"),
        ("::ffff:1.0.0.1", "AU"),
        ("2001:1ff:ffff::", None),
        ("2001:200::", "JP"),
        ("2001:200:ffff:ffff:ffff:ffff:ffff:ffff", "JP"),
        ("2001:201::", None),
        ("2001:678:1::ffff", "DE"),
        ("2001:678:1::1:0", "FR"),
        ("2001:678:1::2:0", None),
        ("2001:678:1:0:7fff:ffff:ffff:ffff", None),
        ("2001:678:1:0:8000::", "NL"),
        ("2001:678:1:1::", None),
        ("ffff::", None),
    ],
)
def test_address_lies_where_the_table_says(table: CountryTable, address: str, country: str | None) -> None:
    assert table.country_of(ip_address(address)) == country


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode())], ids=["plain", "gz"])
def test_one_file_serves_its_family_alone(tmp_path: Path, pack: Callable[[str], bytes]) -> None:
    content = pack(GEOIP)
    path = tmp_path / ("table.gz" if content[:2] == b"\x1f\x8b" else "table.csv")
    path.write_bytes(content)
    found = CountryTable.read(path)
    assert found.country_of(IPv4Address("1.0.0.1")) == "AU"
    assert found.country_of(IPv6Address("2001:200::")) is None


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("16777216,16777471,AU\n16777472,1677", "line 2: '16777472,1677' is not like low,high,CC"),
        ("16777216,16777471,Australia\n", "line 1: 'Australia' is not a country's two capital letters"),
        ("16777216,16777471,au\n", "line 1: 'au' is not a country's"),
        ("1.0.0.0,1.0.0.255,AU\n", "line 1: '1.0.0.0' is not an IPv4 address as a number"),
        ("16777216,4294967296,AU\n", "line 1: '4294967296' is not an IPv4"),
        ("-1,16777471,AU\n", "line 1: '-1' is not an IPv4"),
        ("2001:::1,2001::2,JP\n", "line 1: '2001:::1' is not an IPv6 address"),
        ("2001::1,7,JP\n", "line 1: '7' is not an IPv6 address"),
        ("# only a comment\n\n16777471,16777216,AU\n", "line 3: the range ends before it begins"),
        ("16777216,16777471,AU\n16777471,16777480,CN\n", "line 2: the range ends before it begins, overlaps"),
        ("# nothing\n", "it holds no line like"),
        ("", "it holds no line like"),
        ("16777216,16777471,ÄU\n", "it is no text"),
    ],
)
def test_broken_table_is_refused_with_its_line(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "geoip"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(CountryTableUnreadable) as caught:
        CountryTable.read(path)
    assert str(path) in str(caught.value)
    assert reason in str(caught.value)


def test_cut_gzip_file_is_refused_whole(tmp_path: Path) -> None:
    path = tmp_path / "geoip.gz"
    path.write_bytes(gzip.compress(GEOIP.encode())[:-9])
    with pytest.raises(CountryTableUnreadable, match=r"geoip\.gz"):
        CountryTable.read(path)


def test_text_named_gz_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "geoip.gz"
    path.write_text(GEOIP)
    with pytest.raises(CountryTableUnreadable, match="gzip"):
        CountryTable.read(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CountryTableUnreadable, match="nowhere"):
        CountryTable.read(tmp_path / "nowhere")


def test_folder_with_one_family_is_refused(tmp_path: Path) -> None:
    (tmp_path / "geoip").write_text(GEOIP)
    with pytest.raises(CountryTableUnreadable, match=r"neither geoip6 nor geoip6\.gz"):
        CountryTable.read(tmp_path)


@pytest.mark.parametrize(
    ("stated", "country"),
    [
        *[("DE", "DE"), ("de", "DE"), (" fr ", "FR"), ("XK", "XK")],
        *((code, None) for code in ("XX", "T1", "EU", "AP", "ZZ", "??", "", "D", "DEU", "D\x00", "\u00df", "\u0130Q")),
    ],
)
def test_stated_country_is_two_letters_of_a_country(stated: str, country: str | None) -> None:
    assert read_country(stated) == country


@given(
    borders=st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=20, unique=True).map(sorted),
    codes=st.lists(st.sampled_from(["DE", "FR", "??"]), min_size=10, max_size=10),
    address=st.integers(0, 2**32 - 1),
    data=st.data(),
)
def test_table_equals_a_scan_of_its_lines(
    tmp_path_factory: pytest.TempPathFactory, borders: list[int], codes: list[str], address: int, data: st.DataObject
) -> None:
    ranges = [(*pair, code) for pair, code in zip(zip(borders[::2], borders[1::2], strict=False), codes, strict=False)]
    path = tmp_path_factory.mktemp("table") / "geoip"
    path.write_text("".join(f"{low},{high},{code}\n" for low, high, code in ranges))
    table = CountryTable.read(path)
    for asked in (address, data.draw(st.sampled_from(borders)), max(borders[0] - 1, 0)):
        scanned = next((code for low, high, code in ranges if low <= asked <= high and code != "??"), None)
        assert table.country_of(IPv4Address(asked)) == scanned
