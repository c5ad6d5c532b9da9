"""Pixelate: the image is shrunk and enlarged again; the constants are the share of the size to shrink to.

Both resizings use Pillow's box filter in 8 bits, as for the released sets.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from whole_in_parts.evaluation.corruptions.jpeg_compression import apply_to_pillow_images

CONSTANTS = {
    "ImageNet-C": (0.6, 0.5, 0.4, 0.3, 0.25),
    "Tiny-ImageNet-C": (0.9, 0.8, 0.7, 0.6, 0.5),
    "CIFAR-C": (0.95, 0.9, 0.85, 0.75, 0.65),
}


def apply(images_BCHW: Tensor, share: float, indices: NDArray[np.int64], severity: int) -> Tensor:
    size = images_BCHW.shape[-1]
    small = max(1, int(size * share))

    def shrink_and_enlarge(image: Image.Image) -> Image.Image:
        smaller = image.resize((small, small), Image.Resampling.BOX)
        return smaller.resize((size, size), Image.Resampling.BOX)

    return apply_to_pillow_images(shrink_and_enlarge, images_BCHW)
