"""One colour, dash and marker for each group, the same in every figure and table.

The seven colours keep apart in protanopia, deuteranopia and tritanopia (each pair by 20 in Lab, and at a contrast of
3 to the page); with an eighth group the dashes change. What is not self-supervised is grey or black.
"""

from collections import Counter
from typing import NamedTuple

from whole_in_parts.report.groups import Group

INK, MUTED, RULE, PAPER = "#1c1f24", "#5b626c", "#dcdfe4", "#ffffff"

COLOURS = ["#015eb7", "#c88106", "#0ea65e", "#70126c", "#ae2a00", "#8893c0", "#7b1830"]
DARK = ["#0680d4", "#caa110", "#03b564", "#976098", "#bd4c04", "#04dcff", "#a8586b"]
"""The same on a dark page."""
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
DASHES = {"solid": "-", "dashed": "--", "dotted": ":", "dashdot": "-."}


class Look(NamedTuple):
    """How a group looks."""

    colour: str
    marker: str
    dash: str


def looks(groups: list[Group]) -> dict[str, Look]:
    """The look of each group, by its name; they begin anew with each dataset, as figures do."""
    neutral = {"random": (MUTED, "x"), "supervised": (INK, "*")}
    count: Counter[tuple[str, str]] = Counter()
    found = {}
    for each in groups:
        kind = (each.options.dataset, each.role)
        turn, place = divmod(count[kind], 1 if each.role in neutral else len(COLOURS))
        colour, marker = neutral.get(each.role, (COLOURS[place], MARKERS[place]))
        found[each.name] = Look(colour, marker, list(DASHES)[turn % len(DASHES)])
        count[kind] += 1
    return found


def variables() -> dict[str, str]:
    """The name in the page's style sheet of each colour of a figure."""
    neutral = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper"}
    return neutral | {colour: f"series-{number}" for number, colour in enumerate(COLOURS)}
