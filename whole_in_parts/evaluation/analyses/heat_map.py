"""Map the similarity of images to a patch, in the embedding and in the projection (I²-VICReg, section 5 and
Figures 5 and 6).

The query is the window of an image at `place`. It is compared, by cosine, with the windows at every `stride` pixels of
the same image and of another image: the next one when the images are sorted by class, so mostly of the same class.
`same_image_<space>` is the mean over all windows of the image except the query, `other_image_<space>` the mean over the
windows of the other image. `heat_map.png` shows maps of `shown` images with a common colour bar. A method without a
projector has the embedding alone. Shapes: N images, B of a batch, M maps of an image, C channels, H×W
pixels, P×P windows, D dimensions.
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
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.distributed.sharing import share_rows
from whole_in_parts.evaluation.analyses._patches import (
    embed_in_spaces,
    evenly_spaced,
    sliding_windows,
    sort_by_class,
    space_widths,
    to_unit_range,
)
from whole_in_parts.evaluation.analyses._pictures import (
    COLOURS,
    QUERY,
    add_colour_bar,
    draw_frame,
    hide_axes,
    save_png,
    to_pixels,
)
from whole_in_parts.evaluation.analysis import AnalysisContext

BATCH = 64
INCH = 1.25
"""The side of a map in the figure, in inches."""


class Maps(NamedTuple):
    """The cosines (B, P, P) of each image's query with the windows of the same image and of another image."""

    same: Tensor
    other: Tensor


@torch.no_grad()
def measure(context: AnalysisContext, options: HeatMapConfig) -> dict[str, float]:
    """Compute the mean similarities, and write `heat_map.png`."""
    indices = sort_by_class(context)

    def compute(rows_B: NDArray[np.int64]) -> Tensor:
        # With the image that follows, to which the last image is compared.
        own = indices[np.append(rows_B, rows_B[-1] + 1) % len(indices)]
        maps = compare(context, own, options).values()
        return torch.stack([map_BPP for of_space in maps for map_BPP in of_space], 1)

    maps_NMPP = torch.cat(list(share_rows(compute, np.arange(len(indices)), BATCH, "windows")))
    if not is_rank_zero():
        return {}

    pairs = maps_NMPP.unflatten(1, (-1, 2)).unbind(1)
    joined = {space: Maps(*pair.unbind(1)) for space, pair in zip(space_widths(context), pairs, strict=True)}
    save_png(plot(context, indices, joined, options), context.directory / "heat_map.png")
    return {name: value for space, maps in joined.items() for name, value in means(space, maps).items()}


def compare(context: AnalysisContext, indices: NDArray[np.int64], options: HeatMapConfig) -> dict[str, Maps]:
    """Compute the maps of all indexed images but the last; the other image of each is the next one."""
    images_BCHW = to_unit_range(context.test[indices], context.device)
    views = sliding_windows(images_BCHW, options.size, options.stride)
    embedded = [embed_in_spaces(context, view_BCHW) for view_BCHW in views]
    side = round(len(embedded) ** 0.5)
    row, column = query_position(options, side)

    maps = {}
    for space in embedded[0]:
        window_BPPD = torch.stack([vectors[space] for vectors in embedded], 1).unflatten(1, (side, side))
        query_BD = window_BPPD[:-1, row, column]
        same_BPP, other_BPP = (
            torch.einsum("bd,bijd->bij", query_BD, x_BPPD) for x_BPPD in (window_BPPD[:-1], window_BPPD[1:])
        )
        maps[space] = Maps(same_BPP, other_BPP)
    return maps


def query_position(options: HeatMapConfig, side: int) -> tuple[int, int]:
    """Compute the row and the column of the query among the windows."""
    row, column = (round(share * (side - 1)) for share in options.place)
    return row, column


def means(space: str, maps: Maps) -> dict[str, float]:
    """Average the similarities; the query's similarity with itself, which is 1, is left out."""
    count = maps.same[0].numel()
    same = (maps.same.double().sum((1, 2)) - 1) / max(1, count - 1)
    return {f"same_image_{space}": same.mean().item(), f"other_image_{space}": maps.other.double().mean().item()}


def plot(
    context: AnalysisContext, indices: NDArray[np.int64], maps_by_space: dict[str, Maps], options: HeatMapConfig
) -> Figure:
    """Plot a row for each shown image: the image with its query, its maps, the other image and its maps."""
    rows = evenly_spaced(indices, options.shown)
    titles = ["image", *maps_by_space, "another image", *maps_by_space]
    values = torch.cat([part[rows].flatten() for maps in maps_by_space.values() for part in maps])
    limits = float(values.min()), float(values.max())

    figure = Figure(figsize=(len(titles) * INCH + 0.9, len(rows) * INCH + 0.3), layout="constrained")
    grid = figure.subplots(len(rows), len(titles), squeeze=False)
    for position, row in enumerate(rows):
        for part, axes in enumerate(np.split(grid[position], 2)):
            index = indices[(row + part) % len(indices)]
            maps_PP = [maps[part][row] for maps in maps_by_space.values()]
            mappable = plot_maps(axes, context, index, maps_PP, limits)
        draw_query(grid[position, 0], context, options)
    for axes, title in zip(grid[0], titles, strict=True):
        hide_axes(axes, title)
    add_colour_bar(figure, mappable, grid, "cosine with the query")
    return figure


def plot_maps(
    row: NDArray, context: AnalysisContext, index: int, maps: list[Tensor], limits: tuple[float, float]
) -> ScalarMappable:
    """Plot an image and its maps (P, P) in a row of axes; return the last map, for the colour bar."""
    row[0].imshow(to_pixels(context.test[np.array([index])][0].float() / 255))
    for axes, map_PP in zip(row[1:], maps, strict=True):
        mappable = axes.imshow(map_PP.numpy(), COLOURS, vmin=limits[0], vmax=limits[1])
    for axes in row:
        hide_axes(axes)
    return mappable


def draw_query(axes: Axes, context: AnalysisContext, options: HeatMapConfig) -> None:
    """Draw the frame of the query; the centre of the first pixel has the coordinate 0."""
    side = (context.test.size - options.size) // options.stride + 1
    top, left = (position * options.stride - 0.5 for position in query_position(options, side))
    draw_frame(axes, (left, top, options.size, options.size), QUERY, "--")
