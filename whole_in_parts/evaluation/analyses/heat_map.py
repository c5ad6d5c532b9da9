"""Where an image is like one of its patches, in the embedding and in the projection (I²-VICReg, section 5 and Figures
5 and 6).

The query is the window of an image that lies at `place`; what it is compared with, by cosine, are the windows at
every `stride` pixels of the same image and of another one: the next among the images class after class, so mostly of
the same class. `same_image_<space>` is the mean over all windows of an image but the query itself,
`other_image_<space>` over those of the other. `heat_map.png` shows some, all in one colour scale. A method without a
projector has the embedding alone. Shapes: B images, C channels, H×W pixels, P×P windows, D dimensions.
"""

from typing import NamedTuple

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.config.analyses.heat_map import HeatMapConfig
from whole_in_parts.evaluation.analyses._patches import by_class, spaces, spread, windows
from whole_in_parts.evaluation.analyses._pictures import COLOURS, QUERY, bare, frame, pixels, save, scale
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.progress import progress

BATCH = 64
INCH = 1.25


class Maps(NamedTuple):
    """The similarities (B, P, P) of each image's query to the windows of the same image, and of another."""

    same: Tensor
    other: Tensor


@torch.no_grad()
def measure(context: AnalysisContext, options: HeatMapConfig) -> dict[str, float]:
    indices = by_class(context)
    found: dict[str, list[Maps]] = {}
    for start in progress(range(0, len(indices), BATCH), "windows", unit="batch"):
        some = indices[np.arange(start, min(start + BATCH, len(indices)) + 1) % len(indices)]
        for space, maps in compare(context, some, options).items():
            found.setdefault(space, []).append(maps)
    joined = {space: Maps(*map(torch.cat, zip(*parts, strict=True))) for space, parts in found.items()}
    save(picture(context, indices, joined, options), context.directory / "heat_map.png")
    return {name: value for space, maps in joined.items() for name, value in means(space, maps).items()}


def compare(context: AnalysisContext, some: NDArray[np.int64], options: HeatMapConfig) -> dict[str, Maps]:
    """The maps of all of some images but the last, of which each is compared with the one after it too."""
    views = windows(context.test[some].to(context.device).float() / 255, options.size, options.stride)
    embedded = [spaces(context, view_BCHW) for view_BCHW in views]
    side = round(len(views) ** 0.5)
    row, column = place(options, side)
    found = {}
    for space in embedded[0]:
        window_BPPD = torch.stack([each[space] for each in embedded], 1).unflatten(1, (side, side))
        query_BD = window_BPPD[:-1, row, column]
        found[space] = Maps(*(torch.einsum("bd,bijd->bij", query_BD, x) for x in (window_BPPD[:-1], window_BPPD[1:])))
    return found


def place(options: HeatMapConfig, side: int) -> tuple[int, int]:
    """The row and the column of the query among the windows."""
    row, column = (round(share * (side - 1)) for share in options.place)
    return row, column


def means(space: str, maps: Maps) -> dict[str, float]:
    """The mean similarities; the query's own place counts for nothing."""
    count = maps.same[0].numel()
    same = (maps.same.double().sum((1, 2)) - 1) / max(1, count - 1)
    return {f"same_image_{space}": same.mean().item(), f"other_image_{space}": maps.other.double().mean().item()}


def picture(
    context: AnalysisContext, indices: NDArray[np.int64], found: dict[str, Maps], options: HeatMapConfig
) -> Figure:
    """A row for each image that is shown: the image with its query and the maps of it; then the same of the other."""
    rows, titles = spread(indices, options.shown), ["image", *found, "another image", *found]
    every = torch.cat([part[rows].flatten() for maps in found.values() for part in maps])
    limits = float(every.min()), float(every.max())
    figure = Figure(figsize=(len(titles) * INCH + 0.9, len(rows) * INCH + 0.3), layout="constrained")
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    for turn, row in enumerate(rows):
        for part, axes in enumerate(np.split(grid[turn], 2)):
            number = indices[(row + part) % len(indices)]
            drawn = show(axes, context, number, [maps[part][row] for maps in found.values()], limits)
        show_query(grid[turn, 0], context, options)
    for axes, title in zip(grid[0], titles, strict=True):
        bare(axes, title)
    scale(figure, drawn, grid, "cosine with the query")
    return figure


def show(
    grid: NDArray, context: AnalysisContext, number: int, maps: list[Tensor], limits: tuple[float, float]
) -> ScalarMappable:
    """An image and its maps (P, P); gives the last of these, which has the colour scale."""
    grid[0].imshow(pixels(context.test[np.array([number])][0].float() / 255))
    for axes, map_PP in zip(grid[1:], maps, strict=True):
        drawn = axes.imshow(map_PP.numpy(), COLOURS, vmin=limits[0], vmax=limits[1])
    for axes in grid:
        bare(axes)
    return drawn


def show_query(axes: Axes, context: AnalysisContext, options: HeatMapConfig) -> None:
    """The frame of the query, in pixels of which the first has its middle at 0."""
    side = (context.test.size - options.size) // options.stride + 1
    top, left = (each * options.stride - 0.5 for each in place(options, side))
    frame(axes, (left, top, options.size, options.size), QUERY, "--")
