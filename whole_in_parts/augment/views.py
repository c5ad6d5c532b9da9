"""Augmented views, made for a whole batch at once, on the device that the images are on.

Every sample has its own parameters, each a pure function of (seed, step, sample, view, name of the parameter). They are
drawn on the CPU, where it is also decided what to do with which image, so that an accelerator is never waited for.
The order is that of the common recipes: crop, jitter, grey, blur, solarise, flip (which commutes with all between,
and so is made with the crop). A attempts at a box, B images, C channels, H×W in, S×S out.
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

ATTEMPTS = 10
BELOW_ONE = 1 - 2**-24


class Crop(NamedTuple):
    """A view that a method asks for: how it is made (`whole_in_parts/config/views.py`), and its size in pixels.

    Where the geometry is `uniform`, one box and one flip, drawn from the step alone, serve all images of the batch.
    """

    recipe: View
    size: int
    uniform: bool = False


class Batch(NamedTuple):
    """What a method is given: for each crop it asks for, the views (B, C, S, S) in [0, 1], the boxes (B, 4) of top,
    left, height and width in the image that they were cut from, and whether they are mirrored (B,); then labels (B,).

    Boxes and whether they are mirrored are on the CPU.
    """

    views: list[Tensor]
    boxes: list[Tensor]
    flips: list[Tensor]
    labels_B: Tensor


def make_batch(
    images_BCHW: Tensor, labels_B: Tensor, crops: Sequence[Crop], samples: NDArray[np.int64], seed: int, step: int
) -> Batch:
    """One view of each image (uint8) for each crop."""
    batch, x_BCHW = Batch([], [], [], labels_B), images_BCHW.float().div_(255)
    for number, (recipe, size, uniform) in enumerate(crops):
        draw = draws(samples, seed, step, number)
        place = draws(np.zeros_like(samples), seed, step, number) if uniform else draw
        box_B4 = crop_boxes(x_BCHW.shape[2:], recipe, place)
        flip_B = place("flip") < recipe.flip
        x_BCSS = crop(x_BCHW, box_B4, size, flip_B, recipe.interpolation)
        batch.views.append(augment_colours(x_BCSS, recipe, draw))
        batch.boxes.append(box_B4)
        batch.flips.append(flip_B)
    return batch


def draws(samples: NDArray[np.int64], seed: int, step: int, view: int) -> Draw:
    """The random numbers of the samples for one view of one step, below 1 in float32 too."""

    def draw(name: str, times: int = 1) -> Tensor:
        indices = samples * times + np.arange(times)[:, None]
        drawn = torch.from_numpy(uniforms(indices, seed, step, view, name)).float().clamp_(max=BELOW_ONE)
        return drawn if times > 1 else drawn[0]

    return draw


def crop_boxes(size: Sequence[int] | Sequence[Tensor], recipe: View, draw: Draw) -> Tensor:
    """Boxes (B, 4) of top, left, height, width, drawn as torchvision's RandomResizedCrop draws them.

    Area uniform in `crop_scale`, aspect ratio log-uniform in `ratio`; the first of ten attempts that fits, else the
    largest central box of such a ratio.

    Args:
        size: height and width of all images, or those (B,) of each.
    """
    (height, width), scale, ratio = map(torch.as_tensor, size), recipe.crop_scale, recipe.ratio
    area_AB = height * width * (scale[0] + (scale[1] - scale[0]) * draw("crop_area", ATTEMPTS))
    ratio_AB = torch.exp(math.log(ratio[0]) + math.log(ratio[1] / ratio[0]) * draw("crop_ratio", ATTEMPTS))
    h_AB, w_AB = (area_AB / ratio_AB).sqrt().round(), (area_AB * ratio_AB).sqrt().round()
    fits_AB = (w_AB > 0) & (w_AB <= width) & (h_AB > 0) & (h_AB <= height)
    first_1B, fits_B = fits_AB.byte().argmax(0, keepdim=True), fits_AB.any(0)
    high, wide = largest_box(height, width, ratio)
    h_B = torch.where(fits_B, h_AB.gather(0, first_1B)[0], high)
    w_B = torch.where(fits_B, w_AB.gather(0, first_1B)[0], wide)
    top_B = torch.where(fits_B, (draw("crop_top") * (height - h_B + 1)).floor(), (height - high) // 2)
    left_B = torch.where(fits_B, (draw("crop_left") * (width - w_B + 1)).floor(), (width - wide) // 2)
    return torch.stack([top_B, left_B, h_B, w_B], 1)


def largest_box(height: Tensor, width: Tensor, ratio: tuple[float, float]) -> tuple[Tensor, Tensor]:
    """Height and width of the largest part of an image whose ratio, width by height, is within the bounds."""
    high, wide = (width.double() / ratio[0]).round().long(), (height.double() * ratio[1]).round().long()
    return torch.minimum(height, high).clamp(min=1), torch.minimum(width, wide).clamp(min=1)
