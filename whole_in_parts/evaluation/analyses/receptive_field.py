"""Measure the effective receptive field of local representations (CO-SSL, appendix A.5; `docs/methods.md` E.14).

The measure is the gradient of the sum of a local representation's channels with respect to the image: its absolute
value, the maximum over colours, relative to the maximum over pixels. The square root of the number of pixels above 5 or
32 per cent is the side of the field as a square. `side_5` and `side_32` are means over images and positions.

`field.npy` is the mean map of the middle position; `field.png` shows the maps of the four positions of Figure 4.
`field_images.npy` (I, 4, H, W) has the maps of single images at these positions, and `field_images.png` shows them.
Shapes: B images, C channels, H×W pixels, N×N positions, I images that are shown.
"""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from whole_in_parts.config.analyses.receptive_field import ReceptiveFieldConfig
from whole_in_parts.evaluation.analyses._pictures import COLOURS, add_colour_bar, hide_axes, save_png, to_pixels
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.models.backbone import Backbone
from whole_in_parts.progress import progress

THRESHOLDS = (5, 32)
"""Thresholds in per cent of the largest gradient."""

SHOWN = ((0, 0), (0, 0.5), (0.5, 0), (0.5, 0.5))
"""The positions of Figure 4: row and column, as shares of the side of the map."""

SIZE = (8.0, 2.3)
"""The size of the figure, in inches."""

BATCH = 50


def measure(context: AnalysisContext, options: ReceptiveFieldConfig) -> dict[str, float]:
    """Compute the mean sides of the field, and write the maps and their pictures."""
    side = context.backbone.map_sizes(context.test.size)[-1]
    grid = [(row, column) for row in range(0, side, options.stride) for column in range(0, side, options.stride)]
    shown = [(int(row * side), int(column * side)) for row, column in SHOWN]

    sides: dict[int, list[float]] = {percent: [] for percent in THRESHOLDS}
    fields = {position: torch.zeros(context.test.size, context.test.size, device=context.device) for position in shown}
    for images_BCHW in context.iter_images("receptive field", BATCH):
        for position in progress(dict.fromkeys(grid + shown), "positions"):
            gradient_BHW = relative_gradient(context.backbone, images_BCHW, *position)
            for percent in THRESHOLDS if position in grid else ():
                sides[percent] += (gradient_BHW > percent / 100).sum((1, 2)).double().sqrt().tolist()
            if position in fields:
                fields[position] += gradient_BHW.sum(0)

    maps = [divide_by_maximum(fields[position]) for position in shown]
    np.save(context.directory / "field.npy", maps[-1].numpy())
    save_png(plot(maps), context.directory / "field.png")
    if options.shown:
        show_images(context, shown, options.shown)
    return {f"side_{percent}": float(np.mean(sides[percent])) for percent in THRESHOLDS}


def show_images(context: AnalysisContext, positions: list[tuple[int, int]], count: int) -> None:
    """Write the maps of the first images at some positions, and their picture."""
    images_ICHW = context.test[context.indices[:count]].to(context.device).float() / 255
    gradients = [relative_gradient(context.backbone, images_ICHW, *position) for position in positions]
    maps_IPHW = torch.stack(gradients, 1).cpu()
    np.save(context.directory / "field_images.npy", maps_IPHW.numpy())

    figure = Figure(figsize=(SIZE[0], 1.7 * len(maps_IPHW) + 0.3), layout="constrained")
    grid = figure.subplots(len(maps_IPHW), 1 + len(positions), squeeze=False)
    for row, image_CHW, maps_PHW in zip(grid, images_ICHW, maps_IPHW, strict=True):
        row[0].imshow(to_pixels(image_CHW))
        hide_axes(row[0])
        for axes, share, field_HW in zip(row[1:], SHOWN, maps_PHW, strict=True):
            mappable = axes.imshow(field_HW.numpy(), cmap=COLOURS, vmin=0, vmax=1)
            hide_axes(axes, f"position ({share[0]:g}, {share[1]:g})" if row is grid[0] else "")
    add_colour_bar(figure, mappable, grid, "|gradient|, of the largest")
    save_png(figure, context.directory / "field_images.png")


def divide_by_maximum(field_HW: Tensor) -> Tensor:
    """Divide a map by its largest value."""
    return (field_HW / field_HW.max().clamp(min=1e-12)).cpu()


def plot(maps: list[Tensor]) -> Figure:
    """Plot the fields of the positions side by side, with a common colour bar."""
    figure = Figure(figsize=SIZE, layout="constrained")
    grid = figure.subplots(1, len(maps))
    for axes, (row, column), field_HW in zip(grid, SHOWN, maps, strict=True):
        mappable = axes.imshow(field_HW.numpy(), cmap=COLOURS, vmin=0, vmax=1)
        hide_axes(axes, f"position ({row:g}, {column:g})")
    add_colour_bar(figure, mappable, grid, "mean |gradient|, of the largest")
    return figure


def relative_gradient(backbone: Backbone, images_BCHW: Tensor, row: int, column: int) -> Tensor:
    """Compute the gradient (B, H, W) of the representation at a position, relative to its maximum over pixels."""
    images_BCHW = images_BCHW.clone().requires_grad_(True)
    backbone(images_BCHW).local_BCNN[:, :, row, column].sum().backward()
    gradient_BHW = images_BCHW.grad.abs().amax(1)  # type: ignore[union-attr]
    return gradient_BHW / gradient_BHW.amax((1, 2), keepdim=True).clamp(min=1e-12)
