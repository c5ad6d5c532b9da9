"""The effective receptive field: how far a local representation really sees (CO-SSL, appendix A.5; `methods.md` E.14).

The gradient of the sum of a local representation's channels with respect to the image: its absolute value, the largest
of the colours, divided by the largest of all. √(the number of pixels above 5 or 32 per cent of that) is the side of the
field as a square, a mean over images and positions.

`field.npy` is the mean map of the position in the middle; `field.png` shows those of the four positions of Figure 4.
Shapes: B images, C channels, H×W pixels, N×N positions.
"""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from whole_in_parts.config.analyses.receptive_field import ReceptiveFieldConfig
from whole_in_parts.evaluation.analyses._pictures import COLOURS, bare, save, scale
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.progress import progress

SHARES = (5, 32)
"""Per cent of the largest gradient."""

SHOWN = ((0, 0), (0, 0.5), (0.5, 0), (0.5, 0.5))
"""The positions of Figure 4: row and column, as shares of the side of the map."""

SIZE = (8.0, 2.3)
"""Of the picture, in inches."""

BATCH = 50


def measure(context: AnalysisContext, options: ReceptiveFieldConfig) -> dict[str, float]:
    side = context.backbone.map_sizes(context.test.size)[-1]
    grid = [(row, column) for row in range(0, side, options.stride) for column in range(0, side, options.stride)]
    shown = [(int(row * side), int(column * side)) for row, column in SHOWN]
    sides: dict[int, list[float]] = {share: [] for share in SHARES}
    fields = {position: torch.zeros(context.test.size, context.test.size, device=context.device) for position in shown}
    for images_BCHW in context.iter_images("receptive field", BATCH):
        for position in progress(dict.fromkeys(grid + shown), "positions"):
            reach_BHW = gradient(context, images_BCHW, *position)
            for share in SHARES if position in grid else ():
                sides[share] += (reach_BHW > share / 100).sum((1, 2)).double().sqrt().tolist()
            if position in fields:
                fields[position] += reach_BHW.sum(0)
    maps = [relative(fields[position]) for position in shown]
    np.save(context.directory / "field.npy", maps[-1].numpy())
    save(picture(maps), context.directory / "field.png")
    return {f"side_{share}": float(np.mean(sides[share])) for share in SHARES}


def relative(field_HW: Tensor) -> Tensor:
    """A map as shares of its largest value."""
    return (field_HW / field_HW.max().clamp(min=1e-12)).cpu()


def picture(maps: list[Tensor]) -> Figure:
    """The fields of the positions side by side, in one colour scale."""
    figure = Figure(figsize=SIZE, layout="constrained")
    grid = figure.subplots(1, len(maps))
    for axes, (row, column), field_HW in zip(grid, SHOWN, maps, strict=True):
        drawn = axes.imshow(field_HW.numpy(), cmap=COLOURS, vmin=0, vmax=1)
        bare(axes, f"position ({row:g}, {column:g})")
    scale(figure, drawn, grid, "mean |gradient|, of the largest")
    return figure


def gradient(context: AnalysisContext, images_BCHW: Tensor, row: int, column: int) -> Tensor:
    """How much each pixel (B, H, W) moves the representation at a position, as a share of the most that any does."""
    images_BCHW = images_BCHW.clone().requires_grad_(True)
    context.backbone(images_BCHW).local_BCNN[:, :, row, column].sum().backward()
    reach_BHW = images_BCHW.grad.abs().amax(1)  # type: ignore[union-attr]
    return reach_BHW / reach_BHW.amax((1, 2), keepdim=True).clamp(min=1e-12)
