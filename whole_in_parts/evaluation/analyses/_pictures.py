"""Draw the figures of analyses, as PNG without date and version, so that the same data give the same bytes."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from numpy.typing import NDArray
from torch import Tensor

DPI = 150
COLOURS = "viridis"
INK, QUERY, SAME = "#7a808a", "#d1242f", "#1a9f53"
"""Colours of text (legible on white and on black), of a query's frame and of that of a patch of the query's class."""

Box = tuple[float, float, float, float]
"""Left, top, width and height."""


def save_png(figure: Figure, file: Path) -> None:
    """Write a figure without background, which is the page's, and without the version of matplotlib."""
    for text in figure.findobj(Text):
        text.set_color(INK)
    for axes in figure.axes:
        axes.tick_params(colors=INK)
        axes.spines[:].set_color(INK)
    figure.savefig(file, dpi=DPI, metadata={"Software": None}, transparent=True)


def to_pixels(image_CHW: Tensor) -> NDArray[np.float32]:
    """Convert an image in [0, 1] to matplotlib's layout, (H, W, 3)."""
    return image_CHW.clamp(0, 1).expand(3, -1, -1).permute(1, 2, 0).cpu().numpy()


def draw_frame(axes: Axes, box: Box, colour: str, dash: str = "-") -> None:
    """Draw the outline of a box, in the coordinates of the axes."""
    left, top, width, height = box
    axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=colour, linestyle=dash, linewidth=1.6))


def add_colour_bar(figure: Figure, mappable: ScalarMappable, grid: NDArray, label: str) -> None:
    """Draw the common colour bar of a grid of maps beside it."""
    bar = figure.colorbar(mappable, ax=grid, shrink=0.85, aspect=25)
    bar.set_label(label, fontsize=8, color=INK)
    bar.ax.tick_params(labelsize=7, colors=INK)


def hide_axes(axes: Axes, title: str = "") -> None:
    """Hide ticks and spines, and set the title."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=8, color=INK)
