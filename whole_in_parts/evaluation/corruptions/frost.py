"""Frost: a random crop of one of five photographs of ice is added; the constants are the weights of image and ice.

The photographs are those of the package `imagecorruptions-imaug`, which redistributes the ones that the released sets
were made with; nothing else of it is used, so `pip install --no-deps imagecorruptions-imaug` will do. Of its six, the
released code uses the first five. They are scaled as for the released set, and in proportion for images that are larger
than those of the set.
"""

import functools
import importlib.util
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from whole_in_parts.evaluation.corruption import RELEASED_SIZES, released_set
from whole_in_parts.evaluation.corruptions._draws import uniform
from whole_in_parts.evaluation.corruptions.snow import to_grey
from whole_in_parts.failure import Failure

CONSTANTS = {
    "ImageNet-C": ((1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)),
    "Tiny-ImageNet-C": ((1, 0.3), (0.9, 0.4), (0.8, 0.45), (0.75, 0.5), (0.7, 0.55)),
    "CIFAR-C": ((1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)),
}
SCALES = {"ImageNet-C": 1.0, "Tiny-ImageNet-C": 0.3, "CIFAR-C": 0.2}
PHOTOGRAPHS = ("frost1.png", "frost2.png", "frost3.png", "frost4.jpg", "frost5.jpg")


def apply(images_BCHW: Tensor, constant: tuple[float, float], indices: NDArray[np.int64], severity: int) -> Tensor:
    ice_BCHW = crop_ice(indices, images_BCHW.shape[-1], severity).to(images_BCHW.device)
    return constant[0] * images_BCHW + constant[1] * (to_grey(ice_BCHW) if images_BCHW.shape[1] == 1 else ice_BCHW)


def crop_ice(indices: NDArray[np.int64], size: int, severity: int) -> Tensor:
    """Crop a random part (B, 3, S, S) of a random photograph for each sample, in [0, 1]."""
    released = released_set(size)
    photographs = load_photographs(SCALES[released] * max(1, size / RELEASED_SIZES[released]))
    crops = []
    for choice, down, right in uniform(indices, (3,), "frost", severity).tolist():
        photograph_3HW = photographs[int(choice * len(photographs))]
        top, left = (
            int(share * (extent - size)) for share, extent in zip((down, right), photograph_3HW.shape[1:], strict=True)
        )
        crops.append(photograph_3HW[:, top : top + size, left : left + size])
    return torch.stack(crops).double() / 255


@functools.lru_cache(2)
def load_photographs(scale: float) -> list[Tensor]:
    """Load the photographs (3, H, W) in uint8, resized by linear interpolation, as in the released code.

    Raises:
        Failure: the package of the photographs is not installed, or a photograph is missing.
    """
    package = importlib.util.find_spec("imagecorruptions")
    if package is None or package.origin is None:
        raise Failure(
            "frost: its photographs are in the package imagecorruptions-imaug, which is not installed; "
            "pip install --no-deps imagecorruptions-imaug"
        )
    return [load_photograph(Path(package.origin).parent / "frost" / name, scale) for name in PHOTOGRAPHS]


def load_photograph(file: Path, scale: float) -> Tensor:
    """Load and resize a photograph (3, H, W)."""
    try:
        with Image.open(file) as image:
            pixels_HWC = np.asarray(image.convert("RGB"))
    except OSError as error:
        raise Failure(
            f"frost: {file}, a photograph of the package imagecorruptions-imaug, cannot be read ({error})"
        ) from None
    return torch.from_numpy(resize_linear(pixels_HWC, scale)).permute(2, 0, 1)


def resize_linear(pixels_HWC: NDArray[np.uint8], scale: float) -> NDArray[np.uint8]:
    """Resize by linear interpolation in OpenCV's fixed-point arithmetic, with which the released sets were made.

    Equal to `cv2.resize` to the byte at the scales of the released sets. Above 1, and at one half, for which OpenCV
    averages, some values differ by 1.
    """
    left, right, of_left, of_right = neighbours(pixels_HWC.shape[1], scale)
    wide_HWC = pixels_HWC[:, left] * of_left[:, None] + pixels_HWC[:, right] * of_right[:, None]

    above, below, of_above, of_below = neighbours(pixels_HWC.shape[0], scale)
    from_above = (of_above[:, None, None] * (wide_HWC[above] >> 4)) >> 16
    from_below = (of_below[:, None, None] * (wide_HWC[below] >> 4)) >> 16
    return ((from_above + from_below + 2) >> 2).astype(np.uint8)


def neighbours(extent: int, scale: float) -> tuple[NDArray[np.int64], ...]:
    """Return the two pixels between which each resized pixel of an axis lies, and their weights of 2048."""
    positions = (np.arange(round(extent * scale)) + 0.5) / scale - 0.5
    first = np.clip(np.floor(positions), 0, extent - 1).astype(np.int64)
    second = np.minimum(first + 1, extent - 1)
    share = np.where((positions < 0) | (first == extent - 1), 0, positions - first).astype(np.float32)
    return first, second, np.rint((1 - share) * 2048).astype(np.int64), np.rint(share * 2048).astype(np.int64)
