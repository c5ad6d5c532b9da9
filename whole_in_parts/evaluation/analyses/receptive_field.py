"""Measure the effective receptive field of local representations (CO-SSL, appendix A.5; `docs/methods.md` E.14).

The measure is the gradient of the sum of a local representation's channels with respect to the image: its absolute
value, the maximum over colours, relative to the maximum over pixels. The square root of the number of pixels above 5 or
32 per cent is the side of the field as a square. `side_5` and `side_32` are means over images and positions.

`field.npy` is the mean map of the middle position; `field.png` shows the maps of the four positions of Figure 4.
`field_images.npy` (I, 4, H, W) has the maps of single images at these positions, and `field_images.png` shows them.
Gradients are always float32. Shapes: N images, B of a batch, C channels, H×W pixels, G measured and P shown positions,
T thresholds, I images that are shown.
"""

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from whole_in_parts.config.analyses.receptive_field import ReceptiveFieldConfig
from whole_in_parts.distributed.collectives import gather
from whole_in_parts.distributed.environment import is_rank_zero
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

    fields_PHW = torch.zeros(len(shown), context.test.size, context.test.size, device=context.device)

    def compute(images_BCHW: Tensor) -> Tensor:
        sides = {}
        for position in progress(dict.fromkeys(grid + shown), "positions"):
            gradient_BHW = relative_gradient(context.backbone, images_BCHW, *position)
            sides[position] = field_sides(gradient_BHW)
            fields_PHW[[position == other for other in shown]] += gradient_BHW.sum(0)
        return torch.stack([sides[position] for position in grid], 1)

    sides_NGT = torch.cat(list(context.iter_rows(compute, "receptive field", BATCH)))
    fields_PHW = gather(fields_PHW[None]).sum(0)
    if not is_rank_zero():
        return {}

    maps = [divide_by_maximum(field_HW) for field_HW in fields_PHW]
    np.save(context.directory / "field.npy", maps[-1].numpy())
    save_png(plot(maps), context.directory / "field.png")
    if options.shown:
        show_images(context, shown, options.shown)
    return dict(zip([f"side_{percent}" for percent in THRESHOLDS], sides_NGT.mean((0, 1)).tolist(), strict=True))


def field_sides(gradient_BHW: Tensor) -> Tensor:
    """Compute the sides (B, T) of the fields as squares, in pixels, at all thresholds."""
    areas = [(gradient_BHW > percent / 100).sum((1, 2)) for percent in THRESHOLDS]
    return torch.stack(areas, 1).double().sqrt()


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
