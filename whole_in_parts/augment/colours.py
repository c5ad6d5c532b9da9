"""The colours and the sharpness of a batch of views in [0, 1]; each image has parameters of its own.

Operations are those of torchvision, and may write over their input. What is drawn is on the CPU, and so are the numbers
of the images that an operation is for. B images, C channels, H×W pixels.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.resampling import separable
from whole_in_parts.config.views import View

Draw = Callable[..., Tensor]
"""`draw(name)` is a number in [0, 1) a sample (B,); `draw(name, times)` is several of them (times, B)."""

Change = Callable[[Tensor, Tensor], Tensor]
"""An operation on images (B, C, H, W) and what it changes each by (B,); it works in place."""

RED, GREEN, BLUE = 0.2989, 0.587, 0.114


def augment_colours(x_BCHW: Tensor, recipe: View, draw: Draw) -> Tensor:
    """Jitter, grey, blur and solarise, in the order of the common recipes."""
    x_BCHW = jitter(x_BCHW, recipe, draw)
    if recipe.greyscale and x_BCHW.shape[1] == 3:
        x_BCHW = apply_where(grey, x_BCHW, draw("greyscale") < recipe.greyscale)
    if recipe.blur:
        x_BCHW = apply_where(blur, x_BCHW, draw("blur") < recipe.blur, 0.1 + 1.9 * draw("blur_sigma"))
    if recipe.solarize:
        x_BCHW = apply_where(solarize, x_BCHW, draw("solarize") < recipe.solarize)
    return x_BCHW


def apply_where(operation: Callable[..., Tensor], x_BCHW: Tensor, chosen_B: Tensor, *parameters_B: Tensor) -> Tensor:
    """Apply an operation, in place, to the images that are chosen."""
    indices, device = chosen_B.nonzero().flatten(), x_BCHW.device
    parameters = [copy_async(values_B[indices], device) for values_B in parameters_B]
    if len(indices) == len(x_BCHW):
        return operation(x_BCHW, *parameters)
    place = copy_async(indices, device)
    return x_BCHW.index_copy_(0, place, operation(x_BCHW.index_select(0, place), *parameters))


def jitter(x_BCHW: Tensor, recipe: View, draw: Draw) -> Tensor:
    """Brightness, contrast, saturation and hue, as torchvision's ColorJitter, for the samples that `jitter` picks.

    Each image has its own order of the operations; grey images have no saturation and no hue to change.
    """
    possible = JITTER if x_BCHW.shape[1] == 3 else (brightness, contrast)
    strengths = {operation: getattr(recipe, operation.__name__) for operation in possible}
    operations = [operation for operation in possible if strengths[operation]]
    indices_N = (draw("jitter") < recipe.jitter).nonzero().flatten()
    if not operations:
        return x_BCHW
    changes_OB = torch.stack([strengths[operation] * (2 * draw(operation.__name__) - 1) for operation in operations])
    order_OB = draw("jitter_order", len(JITTER))[: len(operations)].argsort(dim=0, stable=True)
    return in_turns(x_BCHW, indices_N, operations, changes_OB, order_OB)


def in_turns(
    x_BCHW: Tensor, indices_N: Tensor, operations: Sequence[Change], changes_OB: Tensor, order_OB: Tensor
) -> Tensor:
    """Apply all O operations to N of the images, in place; in turn t, image b has that of number `order_OB[t, b]`.

    In each turn the images are sorted by operation, so that each operation is made once, on a slice.
    """
    y_NCHW, place_B, device = x_BCHW, torch.arange(len(x_BCHW)), x_BCHW.device
    for operation_B in order_OB:
        indices_N = indices_N[operation_B[indices_N].argsort(stable=True)]
        y_NCHW = y_NCHW.index_select(0, copy_async(place_B[indices_N], device))
        place_B[indices_N] = torch.arange(len(indices_N))
        counts = operation_B[indices_N].bincount(minlength=len(operations)).tolist()
        for operation, change_B, part, samples in zip(
            operations, changes_OB, y_NCHW.split(counts), indices_N.split(counts), strict=True
        ):
            operation(part, copy_async(change_B[samples], device))
    return x_BCHW.index_copy_(0, copy_async(indices_N, device), y_NCHW)


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

    A channel falls, from the image's value to its least, with the distance on the circle from the channel's own hue.
    No `torch.where`: on a CPU, one costs as much as ten other operations.
    """
    r, g, b = x_BCHW.unbind(1)
    value_BHW, least_BHW = torch.maximum(torch.maximum(r, g), b), torch.minimum(torch.minimum(r, g), b)
    chroma_BHW = value_BHW - least_BHW
    hue_BHW = _hue(x_BCHW, value_BHW, chroma_BHW).add_(turn_B[:, None, None])
    peak_BHW = torch.add(least_BHW, chroma_BHW, alpha=2)
    for number, channel_BHW in enumerate((r, g, b)):
        distance_BHW = hue_BHW - number / 3
        distance_BHW.sub_(distance_BHW.round()).abs_()
        level_BHW = torch.addcmul(peak_BHW, chroma_BHW, distance_BHW, value=-6)
        torch.clamp(level_BHW, least_BHW, value_BHW, out=channel_BHW)
    return x_BCHW


def _hue(x_BCHW: Tensor, value_BHW: Tensor, chroma_BHW: Tensor) -> Tensor:
    """The hue of RGB images as a share of the circle, 0 where there is no chroma."""
    r, g, b = x_BCHW.unbind(1)
    red_BHW, green_BHW = value_BHW.clone().eq_(r), value_BHW.clone().eq_(g)
    sixths_BHW = torch.lerp((r - g).add_(chroma_BHW, alpha=4), (b - r).add_(chroma_BHW, alpha=2), green_BHW)
    return torch.lerp(sixths_BHW, g - b, red_BHW).div_((6 * chroma_BHW).clamp_(min=1e-6))


JITTER: tuple[Change, ...] = (brightness, contrast, saturation, hue)


def luma(x_BCHW: Tensor) -> Tensor:
    """The luma (B, 1, H, W) of RGB images, and grey images as they are."""
    if x_BCHW.shape[1] == 1:
        return x_BCHW.clone()
    r, g, b = x_BCHW.split(1, dim=1)
    return (r * RED).add_(g, alpha=GREEN).add_(b, alpha=BLUE)


def grey(x_BCHW: Tensor) -> Tensor:
    """RGB images without colour."""
    return luma(x_BCHW).repeat(1, 3, 1, 1)


def solarize(x_BCHW: Tensor) -> Tensor:
    """Turn what is brighter than one half into its negative, which is the smaller of the two."""
    return torch.minimum(x_BCHW, 1 - x_BCHW)


def blur(x_BCHW: Tensor, sigma_B: Tensor) -> Tensor:
    """Gaussian blur of square images, its kernel normalised anew at the borders."""
    pixel = torch.arange(x_BCHW.shape[2], device=x_BCHW.device)
    distance_SS = (pixel[:, None] - pixel[None, :]) ** 2
    weight_BSS = torch.exp(-distance_SS / (2 * sigma_B[:, None, None] ** 2))
    weight_BSS = weight_BSS / weight_BSS.sum(2, keepdim=True)
    return separable(x_BCHW, weight_BSS, weight_BSS)


def _each(values_B: Tensor) -> Tensor:
    return values_B[:, None, None, None]
