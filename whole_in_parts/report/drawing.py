"""The style of the figures, and their reproducible export.

matplotlib uses its bundled font and writes neither a date nor random ids, so that the same numbers give the same bytes.
Text remains text in the SVG.
"""

import io
import re
from math import ceil
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from whole_in_parts.report.palette import INK, MUTED, PAPER, RULE

STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 8.5,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": MUTED,
    "axes.titlecolor": INK,
    "axes.linewidth": 0.7,
    "axes.facecolor": PAPER,
    "figure.facecolor": PAPER,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 3,
    "ytick.major.size": 0,
    "lines.linewidth": 1.4,
    "lines.markersize": 4,
    "text.color": INK,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.borderaxespad": 0,
}
FULL, HALF = 10.4, 5.1
"""Widths in inches."""
PANELS = 4
"""Panels in a row."""


def svg(figure: Figure, salt: str) -> str:
    """Export a figure as SVG; ids are hashes of their elements and of the salt, and numbered ids are removed."""
    stream = io.StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": salt}):
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    return re.sub(r' id="[^"]*_\d+"', "", stream.getvalue())


def panels(count: int, width: float, height: float, rows_above: int, sharey: bool = False) -> tuple[Figure, list[Axes]]:
    """Create a figure of equal panels, `height` inches each, below a legend of `rows_above` rows."""
    across = min(count, PANELS)
    down = ceil(count / across)
    figure = Figure(figsize=(width, down * height + 0.19 * rows_above + 0.1), layout="constrained")
    grid = figure.subplots(down, across, squeeze=False, sharey=sharey)
    for axes in grid.flat[count:]:
        axes.remove()
    return figure, list(grid.flat[:count])


def legend(figure: Figure, handles: list[Line2D], columns: int) -> None:
    """Add a legend above the panels."""
    figure.legend(handles=handles, loc="outside upper left", ncols=columns, labelcolor=INK, columnspacing=1.6)
