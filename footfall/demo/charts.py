"""Numbers drawn with characters: a bar, a line of little columns."""

from collections.abc import Sequence

EIGHTHS = " ▏▎▍▌▋▊▉█"
HEIGHTS = "▁▂▃▄▅▆▇█"


def bar(value: float, largest: float, width: int) -> str:
    """Draw `value` as a bar that is `width` characters long for `largest`; nothing where that is 0."""
    if largest <= 0:
        return ""
    full, rest = divmod(round(value / largest * width * 8), 8)
    return "█" * full + EIGHTHS[rest].strip()


def columns(values: Sequence[float]) -> str:
    """Draw one character a value, as high as it is beside the largest of them."""
    largest = max(values, default=0) or 1
    return "".join(HEIGHTS[round(value / largest * (len(HEIGHTS) - 1))] for value in values)
