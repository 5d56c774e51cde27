"""Numbers drawn with characters: a bar, a line of little columns. Plain ASCII where a terminal has no more."""

from collections.abc import Sequence

EIGHTHS = " ▏▎▍▌▋▊▉█"
HEIGHTS = "▁▂▃▄▅▆▇█"
ASCII_HEIGHTS = "_.:-=+*#"


def bar(value: float, largest: float, width: int, *, ascii_only: bool = False) -> str:
    """Draw `value` as a bar that is `width` characters long for `largest`; nothing where that is 0."""
    if largest <= 0:
        return ""
    if ascii_only:
        return "#" * round(value / largest * width)
    full, rest = divmod(round(value / largest * width * 8), 8)
    return "█" * full + EIGHTHS[rest].strip()


def columns(values: Sequence[float], *, ascii_only: bool = False) -> str:
    """Draw one character a value, as high as it is beside the largest of them."""
    heights = ASCII_HEIGHTS if ascii_only else HEIGHTS
    largest = max(values, default=0) or 1
    return "".join(heights[round(value / largest * (len(heights) - 1))] for value in values)
