"""Make augmented views of a whole batch at once, on the device of the images.

Every sample has its own parameters, each a pure function of (seed, step, sample, view, name of the parameter). They are
drawn on the CPU, where the images of each operation are selected too, so that nothing waits for the accelerator. The
order is that of the common recipes: crop, jitter, grey, blur, solarise, flip. The flip commutes with the operations
between, and so it is done with the crop.

Shapes: A attempts at a box, B images, C channels, H×W input pixels, S×S output pixels.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.augment.colours import Draw, augment_colours
from whole_in_parts.augment.randomness import uniforms
from whole_in_parts.augment.resampling import crop
from whole_in_parts.config.views import View
from whole_in_parts.shapes import Float, UInt8

ATTEMPTS = 10
"""Boxes drawn per crop until one fits into the image, as in torchvision."""

BELOW_ONE = 1 - 2**-24
"""The largest float32 below 1."""


class Crop(NamedTuple):
    """The specification of a view: its augmentations (`whole_in_parts/config/views.py`) and its size in pixels.

    If `uniform`, all images of a batch share one box and one flip, drawn from the step alone.
    """

    recipe: View
    size: int
    uniform: bool = False


class Batch(NamedTuple):
    """The input of a method: per crop, the views, the boxes and the flips; and the labels (B,).

    `views` are (B, C, S, S) in [0, 1]; `boxes` (B, 4) are top, left, height and width of the crop in its image; `flips`
    (B,) are true where the view is mirrored. Boxes and flips are on the CPU.
    """

    views: list[Tensor]
    boxes: list[Tensor]
    flips: list[Tensor]
    labels_B: Tensor


def make_batch(
    images_BCHW: UInt8[Tensor, "B C H W"],
    labels_B: Tensor,
    crops: Sequence[Crop],
    samples: NDArray[np.int64],
    seed: int,
    step: int,
) -> Batch:
    """Make one view of every image (uint8) for every crop."""
    batch = Batch([], [], [], labels_B)
    x_BCHW = images_BCHW.float().div_(255)
    for view, (recipe, size, uniform) in enumerate(crops):
        # A uniform crop draws its geometry for sample 0, so all images share it; colours stay per image.
        draw = draws(samples, seed, step, view)
        draw_geometry = draws(np.zeros_like(samples), seed, step, view) if uniform else draw
        box_B4 = crop_boxes(x_BCHW.shape[2:], recipe, draw_geometry)
        flip_B = draw_geometry("flip") < recipe.flip

        x_BCSS = crop(x_BCHW, box_B4, size, flip_B, recipe.interpolation)
        add_view(batch, x_BCSS, box_B4, flip_B, recipe, draw)
    return batch


def add_view(
    batch: Batch, x_BCSS: Float[Tensor, "B C S S"], box_B4: Tensor, flip_B: Tensor, recipe: View, draw: Draw
) -> None:
    """Augment the colours of a view that is cropped and flipped, and add it to a batch."""
    batch.views.append(augment_colours(x_BCSS, recipe, draw))
    batch.boxes.append(box_B4)
    batch.flips.append(flip_B)


def draws(samples: NDArray[np.int64], seed: int, step: int, view: int) -> Draw:
    """Return a function that draws random numbers for the samples in one view of one step, below 1 also in float32."""

    def draw(name: str, times: int = 1) -> Tensor:
        indices = samples * times + np.arange(times)[:, None]
        values = torch.from_numpy(uniforms(indices, seed, step, view, name)).float().clamp_(max=BELOW_ONE)
        return values if times > 1 else values[0]

    return draw


def crop_boxes(size: Sequence[int] | Sequence[Tensor], recipe: View, draw: Draw) -> Tensor:
    """Draw boxes (B, 4) of top, left, height and width, as torchvision's RandomResizedCrop does.

    The area is uniform in `crop_scale` and the aspect ratio log-uniform in `ratio`. The first of ten attempts that fits
    is taken, else the largest central box within the bounds of the ratio.

    Args:
        size: height and width, as numbers for all images or as tensors (B,).
    """
    height, width = map(torch.as_tensor, size)
    scale = recipe.crop_scale
    ratio = recipe.ratio

    # Draw the size of the box in every attempt.
    area_AB = height * width * (scale[0] + (scale[1] - scale[0]) * draw("crop_area", ATTEMPTS))
    ratio_AB = torch.exp(math.log(ratio[0]) + math.log(ratio[1] / ratio[0]) * draw("crop_ratio", ATTEMPTS))
    h_AB = (area_AB / ratio_AB).sqrt().round()
    w_AB = (area_AB * ratio_AB).sqrt().round()

    # Take the first attempt that fits, or fall back to the largest box.
    fits_AB = (w_AB > 0) & (w_AB <= width) & (h_AB > 0) & (h_AB <= height)
    first_1B = fits_AB.byte().argmax(0, keepdim=True)
    fits_B = fits_AB.any(0)
    max_height, max_width = largest_box(height, width, ratio)
    h_B = torch.where(fits_B, h_AB.gather(0, first_1B)[0], max_height)
    w_B = torch.where(fits_B, w_AB.gather(0, first_1B)[0], max_width)

    # Place it at random; the fallback is centred.
    top_B = torch.where(fits_B, (draw("crop_top") * (height - h_B + 1)).floor(), (height - max_height) // 2)
    left_B = torch.where(fits_B, (draw("crop_left") * (width - w_B + 1)).floor(), (width - max_width) // 2)
    return torch.stack([top_B, left_B, h_B, w_B], 1)


def largest_box(height: Tensor, width: Tensor, ratio: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Compute height and width of the largest box in an image whose ratio, width by height, is within the bounds."""
    max_height = (width.double() / ratio[0]).round().long()
    max_width = (height.double() * ratio[1]).round().long()
    return torch.minimum(height, max_height).clamp(min=1), torch.minimum(width, max_width).clamp(min=1)
