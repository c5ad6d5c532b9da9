"""One colour, dash and marker for each group, the same in every figure and table.

The seven colours keep apart under the common colour blindnesses; with an eighth group the dashes change. What is not
self-supervised is grey or black.
"""

from typing import NamedTuple

from stages.page.groups import Group

INK, MUTED, RULE, PAPER = "#1c1f24", "#5b626c", "#dcdfe4", "#ffffff"

COLOURS = ["#0072b2", "#d55e00", "#00875f", "#b0479a", "#8f7400", "#3d9fdb", "#7a1f4d"]
DARK = ["#4aaeea", "#f58a42", "#35c498", "#e08bcf", "#d9bd4a", "#9ad4f7", "#d9779f"]
"""The same on a dark page."""
MARKERS = ["o", "s", "^", "D", "v", "P", "X"]
DASHES = {"solid": "-", "dashed": "--", "dotted": ":", "dashdot": "-."}


class Look(NamedTuple):
    """How a group looks."""

    colour: str
    marker: str
    dash: str


def looks(groups: list[Group]) -> dict[str, Look]:
    """The look of each group, by its name."""
    neutral = {"random": (MUTED, "x"), "supervised": (INK, "*")}
    count = {"random": 0, "supervised": 0, "self-supervised": 0}
    found = {}
    for each in groups:
        turn, place = divmod(count[each.role], 1 if each.role in neutral else len(COLOURS))
        colour, marker = neutral.get(each.role, (COLOURS[place], MARKERS[place]))
        found[each.name] = Look(colour, marker, list(DASHES)[turn % len(DASHES)])
        count[each.role] += 1
    return found
