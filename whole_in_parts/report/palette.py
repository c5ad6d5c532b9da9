"""One colour, dash and marker for each group, the same in every figure and table.

The seven colours are distinguishable in protanopia, deuteranopia and tritanopia (each pair by 20 in Lab, and with a
contrast of 3 to the page); from the eighth group the dashes change. Groups that are not self-supervised are grey or
black.
"""

from collections import Counter
from typing import NamedTuple

from whole_in_parts.report.groups import Group

INK, MUTED, RULE, PAPER = "#1c1f24", "#5b626c", "#dcdfe4", "#ffffff"

COLOURS = ["#015eb7", "#c88106", "#0ea65e", "#70126c", "#ae2a00", "#8893c0", "#7b1830"]
DARK = ["#0680d4", "#caa110", "#03b564", "#976098", "#bd4c04", "#04dcff", "#a8586b"]
"""The same colours for a dark page."""
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
DASHES = {"solid": "-", "dashed": "--", "dotted": ":", "dashdot": "-."}


class Look(NamedTuple):
    """The colour, marker and dash of a group."""

    colour: str
    marker: str
    dash: str


def looks(groups: list[Group]) -> dict[str, Look]:
    """Assign a look to each group, by name; the assignment restarts with each dataset, since figures do."""
    neutral = {"random": (MUTED, "x"), "supervised": (INK, "*")}
    count: Counter[tuple[str, str]] = Counter()
    looks_by_name = {}
    for group in groups:
        is_neutral = group.role in neutral
        kind = (group.options.dataset, group.role if is_neutral else "")
        round_, position = divmod(count[kind], 1 if is_neutral else len(COLOURS))
        colour, marker = neutral.get(group.role, (COLOURS[position], MARKERS[position]))
        looks_by_name[group.name] = Look(colour, marker, list(DASHES)[round_ % len(DASHES)])
        count[kind] += 1
    return looks_by_name


def variables() -> dict[str, str]:
    """Return the style-sheet variable of each colour of the figures."""
    neutral = {INK: "ink", MUTED: "muted", RULE: "rule", PAPER: "paper"}
    return neutral | {colour: f"series-{number}" for number, colour in enumerate(COLOURS)}
