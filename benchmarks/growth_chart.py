"""The chart of growth: stages down, events a day across, and in each field the share of one machine.

Blue is what a machine holds, darker when it is more than half full, orange what it does not; who sees no colours has
the numbers. No number is reckoned here.
"""

from collections.abc import Callable, Sequence
from typing import Any

import vl_convert

from benchmarks.growth_model import Stage

# of Okabe and Ito's palette, which the colour-blind tell apart
EASY, BUSY, FULL = "#cfe8f7", "#56b4e9", "#d55e00"
HALF = 0.5
SCALE = 2
FIELD_WIDTH, FIELD_HEIGHT = 104, 34
FONT = "DejaVu Sans"


def draw(
    path: Sequence[Stage], decades: Sequence[int], told: Callable[[float], str], share_told: Callable[[float], str]
) -> bytes:
    """Return a PNG, the stage that is full first on top; `told` names numbers of events, `share_told` shares."""
    rows = [
        {
            "stage": stage.name,
            "decade": told(decade),
            "share": share_told(share := stage.share(decade)),
            "state": _state(share),
        }
        for stage in path
        for decade in decades
    ]
    order = [stage.name for stage in sorted(path, key=Stage.full_at)]
    png: bytes = vl_convert.vegalite_to_png(_spec(rows, order, [told(decade) for decade in decades]), scale=SCALE)
    return png


def _state(share: float) -> str:
    if share < HALF:
        return "up to half of one machine"
    return "more than half" if share < 1 else "more than one machine"


def _spec(rows: list[dict[str, str]], stages: list[str], decades: list[str]) -> dict[str, Any]:
    axis = {
        "domain": False,
        "ticks": False,
        "labelFontSize": 13,
        "titleFontSize": 13,
        "labelLimit": 300,
        "labelAngle": 0,
    }
    states = {"up to half of one machine": EASY, "more than half": BUSY, "more than one machine": FULL}
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "title": {
            "text": "Which share of one 2-core machine each stage takes in the peak hour",
            "fontSize": 16,
            "anchor": "start",
            "offset": 12,
        },
        "background": "white",
        "padding": 16,
        "width": FIELD_WIDTH * len(decades),
        "height": FIELD_HEIGHT * len(stages),
        "data": {"values": rows},
        "encoding": {
            "x": {
                "field": "decade",
                "type": "ordinal",
                "sort": decades,
                "axis": {**axis, "title": "Events a day", "orient": "top"},
            },
            "y": {"field": "stage", "type": "ordinal", "sort": stages, "axis": {**axis, "title": None}},
        },
        "layer": [
            {
                "mark": {"type": "rect", "stroke": "white", "strokeWidth": 2},
                "encoding": {
                    "color": {
                        "field": "state",
                        "type": "nominal",
                        "scale": {"domain": list(states), "range": list(states.values())},
                        "legend": {
                            "title": None,
                            "orient": "bottom",
                            "labelFontSize": 13,
                            "labelLimit": 300,
                            "symbolType": "square",
                        },
                    }
                },
            },
            {
                "mark": {"type": "text", "fontSize": 13},
                "encoding": {
                    "text": {"field": "share"},
                    "color": {"value": "black"},
                },
            },
        ],
        "config": {"font": FONT, "view": {"stroke": None}},
    }
