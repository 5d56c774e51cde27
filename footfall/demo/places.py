"""Where people are and what they hold: countries with their clocks, names, devices with their user agents."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class Country:
    """`utc_offset_minutes` stays the same all year: the demo knows no summer time."""

    code: str
    utc_offset_minutes: int
    weight: int


@dataclass(frozen=True, slots=True)
class Device:
    """What the server reads from `user_agent` is `os` and `device_type`: history and live traffic agree."""

    os: str | None
    device_type: str | None
    user_agent: str
    weight: int


COUNTRIES = (
    Country("DE", 60, 30),
    Country("IN", 330, 22),
    Country("GB", 0, 16),
    Country("US", -300, 14),
    Country("BR", -180, 8),
    Country("KE", 180, 6),
    Country("JP", 540, 4),
)

CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0"
SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5"
DEVICES = (
    Device("Windows", "desktop", f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {CHROME} Safari/537.36", 30),
    Device("Chrome OS", "desktop", f"Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) {CHROME} Safari/537.36", 18),
    Device("Mac OS X", "desktop", f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {SAFARI} Safari/605.1.15", 10),
    Device("Android", "mobile", f"Mozilla/5.0 (Linux; Android 15; Pixel 8) {CHROME} Mobile Safari/537.36", 18),
    Device("iOS", "mobile", f"Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) {SAFARI} Mobile/15E148", 10),
    Device("iOS", "tablet", f"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) {SAFARI} Mobile/15E148", 9),
    Device("Android", "tablet", f"Mozilla/5.0 (Linux; Android 14; SM-X210) {CHROME} Safari/537.36", 5),
)
BOT = Device(None, None, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", 0)

FIRST_NAMES = (
    "Amara Anna Aditi Ben Clara Daniel Elif Emma Farid Grace Hana Ines Jonas Kenji Lena Leon Maria Mateus "
    "Mila Noah Nia Oscar Priya Rafael Ravi Rosa Sam Sofia Tom Wanjiru Yuki Zoe"
)
LAST_NAMES = (
    "Almeida Becker Brown Costa Evans Fischer Gupta Hughes Iyer Jones Kamau Keller Kimani Lopes Martin Meyer "
    "Miller Mwangi Patel Reddy Rocha Sato Schmidt Sharma Silva Singh Smith Suzuki Tanaka Taylor Wagner Walker"
)
TOWNS = "Ashford Boulder Bremen Dayton Jaipur Kassel Leeds Lindau Mysuru Nakuru Olinda Pune Recife Sendai York"


def draw_person_name(dice: Random) -> tuple[str, str]:
    """Draw a first and a last name."""
    return dice.choice(FIRST_NAMES.split()), dice.choice(LAST_NAMES.split())


def draw_town(dice: Random) -> str:
    """Draw where a school is."""
    return dice.choice(TOWNS.split())


def draw_country(dice: Random) -> Country:
    """Draw a country; most of the demo's customers are in the first ones."""
    return dice.choices(COUNTRIES, [country.weight for country in COUNTRIES])[0]


def draw_device(dice: Random) -> Device:
    """Draw a person's device, never the bot's."""
    return dice.choices(DEVICES, [device.weight for device in DEVICES])[0]
