"""Augmented views, made for a whole batch at once, on the device that the model is on.

Every sample has its own parameters, each a pure function of (seed, step, sample, view, name of the parameter).
Crop, resize and flip are two products with a sampling matrix a sample, and so is blur: exact, and fast where a
loop over images is not. The order is that of the common recipes: crop, jitter, grey, blur, solarise, flip (which
commutes with all between, and so is made with the crop). B images, C channels, H×W in, S×S out.
"""

import math
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.images.randomness import permutation, uniforms

Draw = Callable[[str], Tensor]
RATIO = (3 / 4, 4 / 3)
ATTEMPTS = 10
GREY = (0.2989, 0.587, 0.114)


def draws(samples: NDArray[np.int64], seed: int, step: int, view: int, device: torch.device) -> Draw:
    """A function that gives, for the name of a parameter, one number in [0, 1) a sample, as a tensor (B,)."""

    def draw(name: str) -> Tensor:
        return torch.from_numpy(uniforms(samples, seed, step, view, name)).float().to(device)

    return draw


def make_view(images_BCHW: Tensor, recipe, size: int, draw: Draw, order: NDArray[np.int64]) -> Tensor:
    """One view (B, C, size, size) in [0, 1] of images in uint8; `order` permutes the four operations of the jitter."""
    box_B4 = crop_boxes(images_BCHW.shape[2:], recipe.crop_scale, draw)
    x_BCHW = crop(images_BCHW.float() / 255, box_B4, size, draw("flip") < recipe.flip)
    x_BCHW = jitter(x_BCHW, recipe, draw, order)
    if recipe.greyscale and x_BCHW.shape[1] == 3:
        x_BCHW = torch.where(_each(draw("greyscale") < recipe.greyscale), grey(x_BCHW), x_BCHW)
    if recipe.blur:
        sigma_B = 0.1 + 1.9 * draw("blur_sigma")
        x_BCHW = blur(x_BCHW, torch.where(draw("blur") < recipe.blur, sigma_B, 0.0))
    if recipe.solarize:
        x_BCHW = torch.where(_each(draw("solarize") < recipe.solarize) & (x_BCHW >= 0.5), 1 - x_BCHW, x_BCHW)
    return x_BCHW


def make_views(
    images_BCHW: Tensor, recipes, size: int, samples: NDArray[np.int64], seed: int, step: int
) -> list[Tensor]:
    """One view of each image for each recipe."""
    return [
        make_view(
            images_BCHW,
            recipe,
            size,
            draws(samples, seed, step, view, images_BCHW.device),
            permutation(4, seed, step, view, "jitter_order"),
        )
        for view, recipe in enumerate(recipes)
    ]


def crop_boxes(size: torch.Size, scale: tuple[float, float], draw: Draw) -> Tensor:
    """Boxes (B, 4) of top, left, height, width, drawn as torchvision's RandomResizedCrop draws them.

    Area uniform in `scale`, aspect ratio log-uniform in `RATIO`; the first of ten attempts that fits, else the
    whole image.
    """
    height, width = size
    box_B4 = torch.tensor([0.0, 0.0, height, width])
    for attempt in reversed(range(ATTEMPTS)):
        area_B = height * width * (scale[0] + (scale[1] - scale[0]) * draw(f"crop_area_{attempt}"))
        ratio_B = torch.exp(math.log(RATIO[0]) + math.log(RATIO[1] / RATIO[0]) * draw(f"crop_ratio_{attempt}"))
        w_B, h_B = (area_B * ratio_B).sqrt().round(), (area_B / ratio_B).sqrt().round()
        top_B = (draw("crop_top") * (height - h_B + 1)).floor()
        left_B = (draw("crop_left") * (width - w_B + 1)).floor()
        fits_B = (w_B > 0) & (w_B <= width) & (h_B > 0) & (h_B <= height)
        box_B4 = torch.where(fits_B[:, None], torch.stack([top_B, left_B, h_B, w_B], 1), box_B4.to(fits_B.device))
    return box_B4


def crop(x_BCHW: Tensor, box_B4: Tensor, size: int, flip_B: Tensor) -> Tensor:
    """Cut a box out of each image and resize it to (size, size): bilinear, antialiased, mirrored where `flip_B`."""
    top_B, left_B, height_B, width_B = box_B4.unbind(1)
    rows_BSH = sampling(top_B, height_B, x_BCHW.shape[2], size)
    columns_BSW = sampling(left_B, width_B, x_BCHW.shape[3], size)
    columns_BSW = torch.where(flip_B[:, None, None], columns_BSW.flip(1), columns_BSW)
    return separable(x_BCHW, rows_BSH, columns_BSW)


def sampling(start_B: Tensor, length_B: Tensor, inputs: int, outputs: int) -> Tensor:
    """The matrices (B, outputs, inputs) that resample an interval of a line: a triangle filter, rows of sum one."""
    scale_B11 = (length_B / outputs)[:, None, None]
    pixel_1I = torch.arange(inputs, device=start_B.device)[None, None, :]
    centre_BO1 = (
        start_B[:, None, None] + (torch.arange(outputs, device=start_B.device)[None, :, None] + 0.5) * scale_B11
    )
    weight_BOI = (1 - (pixel_1I + 0.5 - centre_BO1).abs() / scale_B11.clamp(min=1)).clamp(min=0)
    inside_B1I = (pixel_1I >= start_B[:, None, None]) & (pixel_1I < (start_B + length_B)[:, None, None])
    weight_BOI = weight_BOI * inside_B1I
    return weight_BOI / weight_BOI.sum(2, keepdim=True)


def separable(x_BCHW: Tensor, rows_BSH: Tensor, columns_BSW: Tensor) -> Tensor:
    """Apply one matrix to the columns and one to the rows of each image."""
    return rows_BSH[:, None] @ x_BCHW @ columns_BSW.transpose(1, 2)[:, None]


def jitter(x_BCHW: Tensor, recipe, draw: Draw, order: NDArray[np.int64]) -> Tensor:
    """Brightness, contrast, saturation and hue, as torchvision's ColorJitter, for the samples that `jitter` picks."""
    strengths = [recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue]
    applied_B = draw("jitter") < recipe.jitter
    for number in order:
        name, strength = ("brightness", "contrast", "saturation", "hue")[number], strengths[number]
        if strength and (number < 2 or x_BCHW.shape[1] == 3):
            change_B = torch.where(applied_B, strength * (2 * draw(name) - 1), 0.0)
            x_BCHW = hue(x_BCHW, change_B) if name == "hue" else blend(x_BCHW, change_B + 1, name)
    return x_BCHW


def blend(x_BCHW: Tensor, factor_B: Tensor, name: str) -> Tensor:
    """Move away from black (brightness), from the mean grey (contrast) or from grey (saturation) by a factor."""
    if name == "brightness":
        return (x_BCHW * _each(factor_B)).clamp(0, 1)
    away = grey(x_BCHW) if x_BCHW.shape[1] == 3 else x_BCHW
    away = away.mean((1, 2, 3), keepdim=True) if name == "contrast" else away
    return torch.lerp(away, x_BCHW, _each(factor_B)).clamp(0, 1)


def grey(x_BCHW: Tensor) -> Tensor:
    """The luma of an RGB image, in all three channels."""
    weights = torch.tensor(GREY, device=x_BCHW.device).view(1, 3, 1, 1)
    return (x_BCHW * weights).sum(1, keepdim=True).expand_as(x_BCHW)


def hue(x_BCHW: Tensor, turn_B: Tensor) -> Tensor:
    """Turn the hue of an RGB image by a fraction of the circle; value and chroma stay."""
    value_BHW, least_BHW = x_BCHW.amax(1), x_BCHW.amin(1)
    chroma_BHW = value_BHW - least_BHW
    safe_BHW = torch.where(chroma_BHW > 0, chroma_BHW, 1.0)
    r, g, b = x_BCHW.unbind(1)
    sixth_BHW = torch.where(
        value_BHW == r, (g - b) / safe_BHW, torch.where(value_BHW == g, (b - r) / safe_BHW + 2, (r - g) / safe_BHW + 4)
    )
    sixth_BHW = torch.where(chroma_BHW > 0, sixth_BHW, 0.0) + 6 * turn_B[:, None, None]
    offsets = torch.tensor([5.0, 3.0, 1.0], device=x_BCHW.device).view(1, 3, 1, 1)
    k_BCHW = (offsets + sixth_BHW[:, None]) % 6
    return value_BHW[:, None] - chroma_BHW[:, None] * torch.minimum(k_BCHW, 4 - k_BCHW).clamp(0, 1)


def blur(x_BCHW: Tensor, sigma_B: Tensor) -> Tensor:
    """Gaussian blur, its kernel normalised anew at the borders; sigma 0 leaves an image as it is."""
    pixel = torch.arange(x_BCHW.shape[2], device=x_BCHW.device)
    distance_SS = (pixel[:, None] - pixel[None, :]) ** 2
    weight_BSS = torch.exp(-distance_SS / (2 * sigma_B.clamp(min=1e-2)[:, None, None] ** 2))
    weight_BSS = weight_BSS / weight_BSS.sum(2, keepdim=True)
    return separable(x_BCHW, weight_BSS, weight_BSS)


def _each(values_B: Tensor) -> Tensor:
    return values_B[:, None, None, None]
