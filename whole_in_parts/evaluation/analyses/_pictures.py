"""How the pictures of analyses are drawn: as PNG, without a date or a version, the same bytes each time."""

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray
from torch import Tensor

DPI = 150
COLOURS = "viridis"
INK, QUERY, SAME = "#1c1f24", "#d1242f", "#1a9f53"
"""Of text, of a query's frame, and of the frame of what is of its class."""

Box = tuple[float, float, float, float]
"""Left, top, width and height."""


def save(figure: Figure, file: Path) -> None:
    figure.savefig(file, dpi=DPI, metadata={"Software": None})


def pixels(image_CHW: Tensor) -> NDArray[np.float32]:
    """An image in [0, 1] as matplotlib takes it: (H, W, 3)."""
    return image_CHW.clamp(0, 1).expand(3, -1, -1).permute(1, 2, 0).cpu().numpy()


def frame(axes: Axes, box: Box, colour: str, dash: str = "-") -> None:
    left, top, width, height = box
    axes.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=colour, linestyle=dash, linewidth=1.6))


def scale(figure: Figure, drawn: ScalarMappable, grid: NDArray, label: str) -> None:
    """The colour scale of several pictures, beside them."""
    bar = figure.colorbar(drawn, ax=grid, shrink=0.85, aspect=25)
    bar.set_label(label, fontsize=8, color=INK)
    bar.ax.tick_params(labelsize=7)


def bare(axes: Axes, title: str = "") -> None:
    """Nothing around a picture but its title."""
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)
    axes.set_title(title, fontsize=8, color=INK)
