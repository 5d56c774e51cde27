"""What a user agent tells: os, device type, whether a program sent it. Hashing is next door, in `__init__.py`.

The os is read by uap-core's rules, bots by isbot's list: many keep both up. Only the three device types have rules of
our own, as no list has them. What an agent does not tell (an iPad that says Macintosh) nobody can know.
"""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

import regex  # type: ignore[import-untyped]
from is_bot import Bots  # type: ignore[import-untyped]
from ua_parser import Domain
from ua_parser.loaders import load_builtins
from ua_parser.regex import Resolver

READ_LENGTH = 1_000
"""Characters of an agent that are read: real ones have up to some 400, and longer ones only cost time."""
OS_NAME_LENGTH = 50
CACHED_AGENTS = 4_096

# the HTTP libraries of phones: isbot's list has some of them, but behind them is a person with an app
PHONE_LIBRARY = re.compile(r"^(?:okhttp|Dalvik|Dart)/|\bCFNetwork\b")
# an app's web view on phones and televisions calls itself AdManager or WebAppManager
NOT_A_BOTS_WORD = "manager"

TELEVISION = re.compile(
    r"\b(?:Smart-?TV|GoogleTV|Android TV|HbbTV|Web0S|BRAVIA|AFT[A-Z]|CrKey|TV Safari)", re.IGNORECASE
)
TABLET = re.compile(r"iPad|Tablet(?! PC)|Kindle|PlayBook|TouchPad|\bSilk/")
ANDROID_TABLET = re.compile(r"\bTab\b|Pad\b", re.IGNORECASE)
# also what phones said before there was Android: Java ME and WAP
PHONE = re.compile(r"Mobi|MIDP|\bUP\.(?:Browser|Link)|Windows CE")
BROWSER = re.compile(r"Safari/|Firefox/|Opera")
APP_SYSTEMS = frozenset(("Android", "iOS", "HarmonyOS"))
PHONE_SYSTEMS = APP_SYSTEMS | {
    *("Bada", "BlackBerry OS", "BREW", "Brew MP", "Firefox OS", "KaiOS", "Maemo", "MeeGo", "Nokia Series 30 Plus"),
    *("Nokia Series 40", "Sailfish", "Symbian OS", "Symbian^3", "Windows CE", "Windows Mobile", "Windows Phone"),
}
DESKTOP_SYSTEMS = {
    *("Windows", "Mac OS X", "Mac OS", "Chrome OS", "Linux", "Arch Linux", "CentOS", "Debian", "Fedora", "Gentoo"),
    *("Kubuntu", "Linux Mint", "Mandriva", "Red Hat", "Slackware", "SUSE", "Ubuntu"),
    *("FreeBSD", "NetBSD", "OpenBSD", "Solaris"),
}


@dataclass(frozen=True, slots=True)
class Device:
    """What a user agent tells: `os` of at most 50 characters, `device_type` of the seed's three, the bot mark."""

    os: str | None = None
    device_type: str | None = None
    is_bot: bool = False


UNKNOWN_DEVICE = Device()


def read_user_agent(user_agent: str) -> Device:
    """Read os, device type and bot mark; what the first 1,000 characters do not tell stays None."""
    return _read(user_agent[:READ_LENGTH])


@lru_cache(maxsize=CACHED_AGENTS)
def _read(agent: str) -> Device:
    if not agent:
        return UNKNOWN_DEVICE
    os_name = _rules().os_name(agent)
    if not _is_phone_app(agent, os_name) and _rules().is_bot(agent):
        return Device(os=os_name, is_bot=True)
    return Device(os=os_name, device_type=_device_type(agent, os_name))


def _is_phone_app(agent: str, os_name: str | None) -> bool:
    """Whether the agent names a phone's system or library but no browser; a bot in disguise names a browser."""
    is_browser = "Mozilla" in agent
    return not is_browser and (os_name in APP_SYSTEMS or PHONE_LIBRARY.search(agent) is not None)


def _device_type(agent: str, os_name: str | None) -> str | None:
    if TELEVISION.search(agent):
        return None
    if TABLET.search(agent) or (os_name == "Android" and _is_android_tablet(agent)):
        return "tablet"
    if PHONE.search(agent) or os_name in PHONE_SYSTEMS:
        return "mobile"
    return "desktop" if os_name in DESKTOP_SYSTEMS else None


def _is_android_tablet(agent: str) -> bool:
    """Android's own rule for browsers: a phone's says Mobile, a tablet's does not. Apps say it on neither."""
    is_unlike_phone = BROWSER.search(agent) is not None and "Mobi" not in agent
    return is_unlike_phone or ANDROID_TABLET.search(agent) is not None


class _Rules:
    """The compiled lists, one set a process: made when first asked for, as that takes some 0.2 s and 6 MB."""

    def __init__(self) -> None:
        _, os_matchers, _ = load_builtins()
        # the rules for devices and browsers take five times the memory and tell nothing that is kept
        self._resolver = Resolver(([], os_matchers, []))
        bots = Bots()
        bots.exclude([NOT_A_BOTS_WORD])
        # one by one, so that the engine can look for each one's letters: as one pattern, as Bots does it, a browser's
        # agent takes 0.7 ms instead of 0.15, and a hostile one of 1,000 characters 7 ms instead of 0.3
        self._bot_searches = [regex.compile(pattern, regex.IGNORECASE).search for pattern in sorted(bots.patterns)]

    def os_name(self, agent: str) -> str | None:
        found = self._resolver(agent, Domain.OS).os
        return found.family[:OS_NAME_LENGTH] if found else None

    def is_bot(self, agent: str) -> bool:
        return any(search(agent) for search in self._bot_searches)


@cache
def _rules() -> _Rules:
    return _Rules()
