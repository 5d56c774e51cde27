"""What a user agent tells of os, device and bot, and that a hostile one costs no more than any other."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest_app.privacy.user_agent import OS_NAME_LENGTH, READ_LENGTH, Device, read_user_agent

WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("user_agent", "expected"),
    [
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/140.0 Safari/537.36",
            Device("Windows", "desktop"),
        ),
        (
            f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {WEBKIT} Chrome/140.0 Safari/537.36",
            Device("Chrome OS", "desktop"),
        ),
        ("Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", Device("Ubuntu", "desktop")),
        (
            "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; Tablet PC 2.0)",
            Device("Windows", "desktop"),
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1 Version/17.0 Mobile/15E148",
            Device("iOS", "mobile"),
        ),
        (
            f"Mozilla/5.0 (Linux; Android 13; Pixel 7) {WEBKIT} Chrome/110.0 Mobile Safari/537.36",
            Device("Android", "mobile"),
        ),
        (
            f"Mozilla/5.0 (Linux; Android 13; CUBOT X50) {WEBKIT} Chrome/110.0 Mobile Safari/5",
            Device("Android", "mobile"),
        ),
        ("Opera/9.80 (J2ME/MIDP; Opera Mini/9.80/37.5; U; en) Presto/2.12 Version/12.16", Device(None, "mobile")),
    ],
)
def test_person_has_os_and_device(user_agent: str, expected: Device) -> None:
    assert read_user_agent(user_agent) == expected


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (iPad; CPU OS 16_0 like Mac OS X) AppleWebKit/605.1 Version/16.0 Mobile/15E148 Safari/604.1",
        f"Mozilla/5.0 (Linux; Android 13; SM-X200) {WEBKIT} Chrome/110.0 Safari/537.36",
        "Mozilla/5.0 (Android 13; Tablet; rv:109.0) Gecko/109.0 Firefox/115.0",
        f"Mozilla/5.0 (Linux; U; Android 13; zh-cn; Redmi Pad) {WEBKIT} Chrome/110.0 Mobile Safari/537.36",
    ],
)
def test_tablet_is_told_from_phone(user_agent: str) -> None:
    assert read_user_agent(user_agent).device_type == "tablet"


@pytest.mark.parametrize(
    "user_agent",
    [
        "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
        "Mozilla/5.0 (compatible; GPTBot/1.2; +https://openai.com/gptbot)",
        f"Mozilla/5.0 (X11; Linux x86_64) {WEBKIT} HeadlessChrome/140.0 Safari/537.36",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) AppleWebKit/605.1 Mobile (compatible; bingbot/2.0)",
        "facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)",
        "curl/8.5.0",
        "python-requests/2.32.3",
        "Go-http-client/2.0",
        "node",
        "PostmanRuntime/7.36.0",
        "kube-probe/1.28",
    ],
)
def test_program_is_marked_and_has_no_device(user_agent: str) -> None:
    found = read_user_agent(user_agent)
    assert found.is_bot
    assert found.device_type is None


@pytest.mark.parametrize(
    "user_agent",
    [
        "okhttp/4.12.0",
        "Dart/3.2 (dart:io)",
        "Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7 Build/TQ3A)",
        "Our App/12 CFNetwork/1410.0.3 Darwin/22.6.0",
        "4 Pics 1 Word/3.9 (iPhone; iOS 17.0.2; Scale/2.00)",
    ],
)
def test_app_on_a_phone_is_no_bot(user_agent: str) -> None:
    assert not read_user_agent(user_agent).is_bot


def test_app_without_the_word_mobile_is_no_tablet() -> None:
    assert read_user_agent("Dalvik/2.1.0 (Linux; U; Android 13; Pixel 7 Build/TQ3A)") == Device("Android", "mobile")


@pytest.mark.parametrize(
    "user_agent",
    [
        f"Mozilla/5.0 (Web0S; Linux/SmartTV) {WEBKIT} Large Screen WebAppManager Safari/537.41",
        f"Mozilla/5.0 (Linux; Android 9; BRAVIA 4K GB) {WEBKIT} Chrome/110.0 Safari/537.36",
        f"Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) {WEBKIT} SamsungBrowser/4.0 TV Safari/537.36",
    ],
)
def test_television_is_a_person_without_device_type(user_agent: str) -> None:
    found = read_user_agent(user_agent)
    assert (found.is_bot, found.device_type) == (False, None)


def test_no_user_agent_tells_nothing() -> None:
    assert read_user_agent("") == Device()


@given(st.text(max_size=3 * READ_LENGTH))
def test_any_text_gives_what_the_columns_hold(user_agent: str) -> None:
    found = read_user_agent(user_agent)
    assert found.os is None or 0 < len(found.os) <= OS_NAME_LENGTH
    assert found.device_type in {None, "desktop", "mobile", "tablet"}


@pytest.mark.parametrize("piece", ["a", "a/1.1 (", "Mozilla/5.0 (", "1.", " ;", "google ", "HbbTV/1.1 (", "\u0130"])
def test_hostile_agent_of_a_megabyte_costs_milliseconds(piece: str) -> None:
    read_user_agent("the rules are compiled")
    user_agent = piece * (1_000_000 // len(piece))
    started = time.process_time()
    read_user_agent(user_agent)
    # 1 to 10 ms; the whole megabyte would take many seconds
    assert time.process_time() - started < 0.25
