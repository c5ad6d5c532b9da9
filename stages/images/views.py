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

Draw = Callable[..., Tensor]
"""`draw(name)` is a number in [0, 1) a sample (B,); `draw(name, times)` is several of them (times, B)."""

Change = Callable[[Tensor, Tensor], Tensor]

RATIO = (3 / 4, 4 / 3)
ATTEMPTS = 10
GREY = (0.2989, 0.587, 0.114)


def make_views(
    images_BCHW: Tensor, recipes, size: int, samples: NDArray[np.int64], seed: int, step: int
) -> list[Tensor]:
    """One view of each image for each recipe, as `make_view` makes it."""
    views = []
    for number, recipe in enumerate(recipes):
        order = permutation(4, seed, step, number, "jitter_order")
        views.append(
            make_view(images_BCHW, recipe, size, draws(samples, seed, step, number, images_BCHW.device), order)
        )
    return views


def draws(samples: NDArray[np.int64], seed: int, step: int, view: int, device: torch.device) -> Draw:
    """The random numbers of the samples for one view of one step."""

    def draw(name: str, times: int = 1) -> Tensor:
        numbers = samples * times + np.arange(times)[:, None]
        drawn = torch.from_numpy(uniforms(numbers, seed, step, view, name)).float().to(device)
        return drawn if times > 1 else drawn[0]

    return draw


def make_view(images_BCHW: Tensor, recipe, size: int, draw: Draw, order: NDArray[np.int64]) -> Tensor:
    """One view (B, C, size, size) in [0, 1] of images in uint8; `order` permutes the four operations of the jitter."""
    box_B4 = crop_boxes(images_BCHW.shape[2:], recipe.crop_scale, draw)
    x_BCHW = crop(images_BCHW.float().div_(255), box_B4, size, draw("flip") < recipe.flip)
    x_BCHW = jitter(x_BCHW, recipe, draw, order)
    if recipe.greyscale and x_BCHW.shape[1] == 3:
        x_BCHW = some(grey, x_BCHW, draw("greyscale") < recipe.greyscale)
    if recipe.blur:
        x_BCHW = some(blur, x_BCHW, draw("blur") < recipe.blur, 0.1 + 1.9 * draw("blur_sigma"))
    if recipe.solarize:
        x_BCHW = some(solarize, x_BCHW, draw("solarize") < recipe.solarize)
    return x_BCHW


def some(operation: Callable[..., Tensor], x_BCHW: Tensor, chosen_B: Tensor, *parameters_B: Tensor) -> Tensor:
    """Apply an operation, in place, to the images that are chosen."""
    numbers = chosen_B.nonzero().flatten()
    if len(numbers) == len(x_BCHW):
        return operation(x_BCHW, *parameters_B)
    return x_BCHW.index_copy_(0, numbers, operation(x_BCHW[numbers], *(values[numbers] for values in parameters_B)))


def crop_boxes(size: torch.Size, scale: tuple[float, float], draw: Draw) -> Tensor:
    """Boxes (B, 4) of top, left, height, width, drawn as torchvision's RandomResizedCrop draws them.

    Area uniform in `scale`, aspect ratio log-uniform in `RATIO`; the first of ten attempts that fits, else the
    whole image.
    """
    height, width = size
    area_AB = height * width * (scale[0] + (scale[1] - scale[0]) * draw("crop_area", ATTEMPTS))
    ratio_AB = torch.exp(math.log(RATIO[0]) + math.log(RATIO[1] / RATIO[0]) * draw("crop_ratio", ATTEMPTS))
    w_AB, h_AB = (area_AB * ratio_AB).sqrt().round(), (area_AB / ratio_AB).sqrt().round()
    fits_AB = (w_AB > 0) & (w_AB <= width) & (h_AB > 0) & (h_AB <= height)
    first_1B = fits_AB.byte().argmax(0, keepdim=True)
    fits_B = fits_AB.any(0)
    h_B = torch.where(fits_B, h_AB.gather(0, first_1B)[0], float(height))
    w_B = torch.where(fits_B, w_AB.gather(0, first_1B)[0], float(width))
    top_B, left_B = (draw("crop_top") * (height - h_B + 1)).floor(), (draw("crop_left") * (width - w_B + 1)).floor()
    return torch.stack([top_B, left_B, h_B, w_B], 1)


def crop(x_BCHW: Tensor, box_B4: Tensor, size: int, flip_B: Tensor) -> Tensor:
    """Cut a box out of each image and resize it to (size, size): bilinear, antialiased, mirrored where `flip_B`."""
    top_B, left_B, height_B, width_B = box_B4.unbind(1)
    rows_BSH = sampling(top_B, height_B, x_BCHW.shape[2], size)
    columns_BSW = sampling(left_B, width_B, x_BCHW.shape[3], size)
    columns_BSW = torch.where(flip_B[:, None, None], columns_BSW.flip(1), columns_BSW)
    return separable(x_BCHW, rows_BSH, columns_BSW)


def sampling(start_B: Tensor, length_B: Tensor, inputs: int, outputs: int) -> Tensor:
    """The matrices (B, outputs, inputs) that resample an interval of a line: a triangle filter, rows of sum one."""
    start_B11, length_B11 = start_B[:, None, None], length_B[:, None, None]
    scale_B11 = length_B11 / outputs
    pixel_I = torch.arange(inputs, device=start_B.device)
    centre_BO1 = start_B11 + (torch.arange(outputs, device=start_B.device)[:, None] + 0.5) * scale_B11
    weight_BOI = (1 - (pixel_I + 0.5 - centre_BO1).abs() / scale_B11.clamp(min=1)).clamp(min=0)
    weight_BOI = weight_BOI * ((pixel_I >= start_B11) & (pixel_I < start_B11 + length_B11))
    return weight_BOI / weight_BOI.sum(2, keepdim=True)


def separable(x_BCHW: Tensor, rows_BSH: Tensor, columns_BSW: Tensor) -> Tensor:
    """Apply one matrix to the columns and one to the rows of each image, all channels in one product."""
    batch, channels, height, width = x_BCHW.shape
    size, wide = rows_BSH.shape[1], columns_BSW.shape[1]
    y_BHX = x_BCHW.transpose(1, 2).reshape(batch, height, channels * width)
    y_BYW = torch.bmm(rows_BSH, y_BHX).view(batch, size * channels, width)
    return torch.bmm(y_BYW, columns_BSW.transpose(1, 2)).view(batch, size, channels, wide).transpose(1, 2).contiguous()


def jitter(x_BCHW: Tensor, recipe, draw: Draw, order: NDArray[np.int64]) -> Tensor:
    """Brightness, contrast, saturation and hue, as torchvision's ColorJitter, for the samples that `jitter` picks."""
    strengths: dict[Change, float] = {brightness: recipe.brightness, contrast: recipe.contrast}
    if x_BCHW.shape[1] == 3:
        strengths |= {saturation: recipe.saturation, hue: recipe.hue}
    chosen = [operation for operation in (JITTER[number] for number in order) if strengths.get(operation)]
    if not chosen:
        return x_BCHW
    changes_B = [strengths[operation] * (2 * draw(operation.__name__) - 1) for operation in chosen]

    def all_of_them(x_BCHW: Tensor, *changes_B: Tensor) -> Tensor:
        for operation, change_B in zip(chosen, changes_B, strict=True):
            x_BCHW = operation(x_BCHW, change_B)
        return x_BCHW

    return some(all_of_them, x_BCHW, draw("jitter") < recipe.jitter, *changes_B)


def brightness(x_BCHW: Tensor, change_B: Tensor) -> Tensor:
    """Move away from black, by 1 + change."""
    return x_BCHW.mul_(1 + _each(change_B)).clamp_(0, 1)


def contrast(x_BCHW: Tensor, change_B: Tensor) -> Tensor:
    """Move away from the image's mean grey, by 1 + change."""
    mean_B111 = luma(x_BCHW).mean((1, 2, 3), keepdim=True)
    return x_BCHW.mul_(1 + _each(change_B)).sub_(mean_B111 * _each(change_B)).clamp_(0, 1)


def saturation(x_BCHW: Tensor, change_B: Tensor) -> Tensor:
    """Move away from the image's greyscale, by 1 + change."""
    luma_B1HW = luma(x_BCHW)
    return x_BCHW.mul_(1 + _each(change_B)).sub_(luma_B1HW.mul_(_each(change_B))).clamp_(0, 1)


def hue(x_BCHW: Tensor, turn_B: Tensor) -> Tensor:
    """Turn the hue of RGB images by a share of the circle; value and chroma stay.

    Hue is measured in sixths of the circle times the chroma, so that nothing is divided by a chroma of zero.
    """
    r, g, b = x_BCHW.unbind(1)
    value_BHW, least_BHW = torch.maximum(torch.maximum(r, g), b), torch.minimum(torch.minimum(r, g), b)
    chroma_BHW, red_BHW, green_BHW = value_BHW - least_BHW, value_BHW == r, value_BHW == g
    hue_BHW = torch.where(red_BHW, g - b, torch.where(green_BHW, b - r, r - g))
    hue_BHW.addcmul_(chroma_BHW, torch.where(red_BHW, 0.0, torch.where(green_BHW, 2.0, 4.0)))
    hue_BHW.addcmul_(chroma_BHW, 6 * turn_B[:, None, None])
    circle_BHW = 6 * chroma_BHW
    hue_BHW = torch.where(hue_BHW < 0, hue_BHW + circle_BHW, hue_BHW)
    hue_BHW = torch.where(hue_BHW >= circle_BHW, hue_BHW - circle_BHW, hue_BHW)
    for channel, (peak, sign, offset) in enumerate(((3, 1, -1), (2, -1, 2), (4, -1, 2))):
        distance_BHW = torch.sub(hue_BHW, chroma_BHW, alpha=peak).abs_().mul_(sign)
        level_BHW = distance_BHW.add_(chroma_BHW, alpha=offset).clamp_(min=0)
        torch.add(torch.minimum(level_BHW, chroma_BHW), least_BHW, out=x_BCHW[:, channel])
    return x_BCHW


JITTER: tuple[Change, ...] = (brightness, contrast, saturation, hue)


def luma(x_BCHW: Tensor) -> Tensor:
    """The luma (B, 1, H, W) of RGB images, and grey images as they are."""
    if x_BCHW.shape[1] == 1:
        return x_BCHW.clone()
    r, g, b = x_BCHW.split(1, dim=1)
    return (r * GREY[0]).add_(g, alpha=GREY[1]).add_(b, alpha=GREY[2])


def grey(x_BCHW: Tensor) -> Tensor:
    """RGB images without colour."""
    return luma(x_BCHW).repeat(1, 3, 1, 1)


def solarize(x_BCHW: Tensor) -> Tensor:
    """Turn what is brighter than one half into its negative."""
    return torch.where(x_BCHW >= 0.5, 1 - x_BCHW, x_BCHW)


def blur(x_BCHW: Tensor, sigma_B: Tensor) -> Tensor:
    """Gaussian blur of square images, its kernel normalised anew at the borders."""
    pixel = torch.arange(x_BCHW.shape[2], device=x_BCHW.device)
    distance_SS = (pixel[:, None] - pixel[None, :]) ** 2
    weight_BSS = torch.exp(-distance_SS / (2 * sigma_B[:, None, None] ** 2))
    weight_BSS = weight_BSS / weight_BSS.sum(2, keepdim=True)
    return separable(x_BCHW, weight_BSS, weight_BSS)


def _each(values_B: Tensor) -> Tensor:
    return values_B[:, None, None, None]
