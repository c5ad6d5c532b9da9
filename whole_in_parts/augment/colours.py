"""Augment the colours and the sharpness of a batch of views in [0, 1], with parameters drawn per image.

The operations are those of torchvision and may overwrite their input. Random numbers, and the indices of the images
that an operation changes, stay on the CPU. Shapes: B images, C channels, H×W pixels.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from whole_in_parts.async_copy import copy_async
from whole_in_parts.augment.resampling import separable
from whole_in_parts.config.views import View

Draw = Callable[..., Tensor]
"""`draw(name)` gives a number in [0, 1) per sample (B,); `draw(name, times)` gives `times` numbers (times, B)."""

Adjustment = Callable[[Tensor, Tensor], Tensor]
"""An in-place operation on images (B, C, H, W), with a factor or an offset per image (B,)."""

RED, GREEN, BLUE = 0.2989, 0.587, 0.114
"""The weights of the channels in the luma (ITU-R BT.601), as in torchvision."""


def augment_colours(x_BCHW: Tensor, recipe: View, draw: Draw) -> Tensor:
    """Jitter, turn grey, blur and solarise, in the order of the common recipes."""
    x_BCHW = jitter(x_BCHW, recipe, draw)
    if recipe.greyscale and x_BCHW.shape[1] == 3:
        x_BCHW = apply_where(grey, x_BCHW, draw("greyscale") < recipe.greyscale)
    if recipe.blur:
        x_BCHW = apply_where(blur, x_BCHW, draw("blur") < recipe.blur, 0.1 + 1.9 * draw("blur_sigma"))
    if recipe.solarize:
        x_BCHW = apply_where(solarize, x_BCHW, draw("solarize") < recipe.solarize)
    return x_BCHW


def apply_where(operation: Callable[..., Tensor], x_BCHW: Tensor, mask_B: Tensor, *parameters_B: Tensor) -> Tensor:
    """Apply an operation, in place, to the images where `mask_B` is true."""
    # The mask is on the CPU, so selecting its indices does not wait for the accelerator.
    indices = mask_B.nonzero().flatten()
    device = x_BCHW.device
    parameters = [copy_async(values_B[indices], device) for values_B in parameters_B]
    if len(indices) == len(x_BCHW):
        return operation(x_BCHW, *parameters)

    device_indices = copy_async(indices, device)
    return x_BCHW.index_copy_(0, device_indices, operation(x_BCHW.index_select(0, device_indices), *parameters))


def jitter(x_BCHW: Tensor, recipe: View, draw: Draw) -> Tensor:
    """Jitter brightness, contrast, saturation and hue of a random subset, as torchvision's ColorJitter does.

    `recipe.jitter` is the probability of an image. The order of the operations is drawn per image. Single-channel
    images have no saturation and no hue.
    """
    available = JITTER if x_BCHW.shape[1] == 3 else (brightness, contrast)
    strengths = {operation: getattr(recipe, operation.__name__) for operation in available}
    operations = [operation for operation in available if strengths[operation]]
    indices_N = (draw("jitter") < recipe.jitter).nonzero().flatten()
    if not operations:
        return x_BCHW

    # A change is uniform in ±strength; sorting uniform numbers draws an order of the O operations per image.
    changes_OB = torch.stack([strengths[operation] * (2 * draw(operation.__name__) - 1) for operation in operations])
    order_OB = draw("jitter_order", len(JITTER))[: len(operations)].argsort(dim=0, stable=True)
    return apply_in_order(x_BCHW, indices_N, operations, changes_OB, order_OB)


def apply_in_order(
    x_BCHW: Tensor, indices_N: Tensor, operations: Sequence[Adjustment], changes_OB: Tensor, order_OB: Tensor
) -> Tensor:
    """Apply all O operations to N of the images, in place; image b gets operation `order_OB[t, b]` in round t."""
    device = x_BCHW.device
    y_NCHW = x_BCHW
    row_B = torch.arange(len(x_BCHW))  # the row of image b in y_NCHW

    for operation_B in order_OB:
        # Sort the images by their operation, so that every operation runs once per round, on a slice.
        indices_N = indices_N[operation_B[indices_N].argsort(stable=True)]
        y_NCHW = y_NCHW.index_select(0, copy_async(row_B[indices_N], device))
        row_B[indices_N] = torch.arange(len(indices_N))

        counts = operation_B[indices_N].bincount(minlength=len(operations)).tolist()
        for operation, change_B, images, samples in zip(
            operations, changes_OB, y_NCHW.split(counts), indices_N.split(counts), strict=True
        ):
            operation(images, copy_async(change_B[samples], device))

    return x_BCHW.index_copy_(0, copy_async(indices_N, device), y_NCHW)


def brightness(x_BCHW: Tensor, change_B: Tensor) -> Tensor:
    """Scale the distance from black by 1 + change."""
    return x_BCHW.mul_(1 + _per_image(change_B)).clamp_(0, 1)


def contrast(x_BCHW: Tensor, change_B: Tensor) -> Tensor:
    """Scale the distance from the image's mean luma by 1 + change."""
    mean_B111 = luma(x_BCHW).mean((1, 2, 3), keepdim=True)
    return x_BCHW.mul_(1 + _per_image(change_B)).sub_(mean_B111 * _per_image(change_B)).clamp_(0, 1)


def saturation(x_BCHW: Tensor, change_B: Tensor) -> Tensor:
    """Scale the distance from the image's greyscale version by 1 + change."""
    luma_B1HW = luma(x_BCHW)
    return x_BCHW.mul_(1 + _per_image(change_B)).sub_(luma_B1HW.mul_(_per_image(change_B))).clamp_(0, 1)


def hue(x_BCHW: Tensor, turn_B: Tensor) -> Tensor:
    """Rotate the hue of RGB images by a fraction of the circle; value and chroma are preserved.

    A channel falls, from the pixel's largest channel (its value) to its smallest, with the distance on the hue circle
    from the channel's own hue. The code avoids `torch.where`, which costs as much as ten other operations on a CPU.
    """
    r, g, b = x_BCHW.unbind(1)
    value_BHW = torch.maximum(torch.maximum(r, g), b)
    least_BHW = torch.minimum(torch.minimum(r, g), b)
    chroma_BHW = value_BHW - least_BHW
    hue_BHW = _hue(x_BCHW, value_BHW, chroma_BHW).add_(turn_B[:, None, None])

    # Each channel is a clamped triangle in the hue: value + chroma − 6 · chroma · distance, where value + chroma is
    # least + 2 · chroma.
    peak_BHW = torch.add(least_BHW, chroma_BHW, alpha=2)
    for number, channel_BHW in enumerate((r, g, b)):
        distance_BHW = hue_BHW - number / 3
        distance_BHW.sub_(distance_BHW.round()).abs_()
        level_BHW = torch.addcmul(peak_BHW, chroma_BHW, distance_BHW, value=-6)
        torch.clamp(level_BHW, least_BHW, value_BHW, out=channel_BHW)
    return x_BCHW


def _hue(x_BCHW: Tensor, value_BHW: Tensor, chroma_BHW: Tensor) -> Tensor:
    """Compute the hue of RGB images as a fraction of the circle; 0 where there is no chroma."""
    r, g, b = x_BCHW.unbind(1)
    red_BHW = value_BHW.clone().eq_(r)
    green_BHW = value_BHW.clone().eq_(g)
    sixths_BHW = torch.lerp((r - g).add_(chroma_BHW, alpha=4), (b - r).add_(chroma_BHW, alpha=2), green_BHW)
    return torch.lerp(sixths_BHW, g - b, red_BHW).div_((6 * chroma_BHW).clamp_(min=1e-6))


JITTER: tuple[Adjustment, ...] = (brightness, contrast, saturation, hue)


def luma(x_BCHW: Tensor) -> Tensor:
    """Compute the luma (B, 1, H, W) of RGB images; single-channel images are copied."""
    if x_BCHW.shape[1] == 1:
        return x_BCHW.clone()
    r, g, b = x_BCHW.split(1, dim=1)
    return (r * RED).add_(g, alpha=GREEN).add_(b, alpha=BLUE)


def grey(x_BCHW: Tensor) -> Tensor:
    """Convert RGB images to grey with three equal channels."""
    return luma(x_BCHW).repeat(1, 3, 1, 1)


def solarize(x_BCHW: Tensor) -> Tensor:
    """Invert values above one half: the smaller of a value and its negative."""
    return torch.minimum(x_BCHW, 1 - x_BCHW)


def blur(x_BCHW: Tensor, sigma_B: Tensor) -> Tensor:
    """Blur square images by a Gaussian, whose kernel is renormalised at the borders. S: pixels per side."""
    pixel = torch.arange(x_BCHW.shape[2], device=x_BCHW.device)
    distance_SS = (pixel[:, None] - pixel[None, :]) ** 2
    weight_BSS = torch.exp(-distance_SS / (2 * sigma_B[:, None, None] ** 2))
    weight_BSS = weight_BSS / weight_BSS.sum(2, keepdim=True)
    return separable(x_BCHW, weight_BSS, weight_BSS)


def _per_image(values_B: Tensor) -> Tensor:
    """Reshape to (B, 1, 1, 1), which broadcasts over the channels and pixels of an image."""
    return values_B[:, None, None, None]
