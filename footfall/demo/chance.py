"""Chance that repeats itself: every draw of the demo comes from here. Nothing here is secret or safe to be one."""

from random import Random
from uuid import UUID


def chance(seed: int, *about: object) -> Random:
    """Make the dice for one matter, such as one person's Tuesday.

    Matters do not disturb each other: a new visitor changes nobody else's day, and a day is the same
    whichever window it is seen in. Seeding with text is stable between runs and Python versions.
    """
    return Random("/".join(str(part) for part in (seed, *about)))  # noqa: S311 a demo must repeat itself


def draw_uuid(dice: Random) -> UUID:
    """Draw an id in the form of a random (version 4) UUID."""
    return UUID(int=dice.getrandbits(128), version=4)
