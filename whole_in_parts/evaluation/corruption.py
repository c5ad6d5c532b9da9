"""Image corruptions, as defined by Hendrycks and Dietterich (2019, arXiv:1903.12261).

Each module of `corruptions/` is a corruption, except those whose names begin with _. It defines `CONSTANTS`, five for
each released set (ImageNet-C, Tiny-ImageNet-C, CIFAR-C), and `apply(images_BCHW, constant, indices, severity)`, which
takes images in [0, 1] and returns corrupted images, in any range. The constants are those of the scripts that generated
the sets (hendrycks/robustness, `ImageNet-C/create_c/make_*_c.py`). Constants in pixels do not scale with the image
size, unless a module states otherwise.

Random parameters are functions of the sample index, the corruption's name and the severity. Computation is in double
precision and the result in 8 bits, as in the released sets, so that an image's bytes do not depend on its batch.

Shapes: B images, C channels (1 or 3), H = W = S pixels, P = S² pixels.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

SEVERITIES = range(1, 6)
RELEASED_SIZES = {"ImageNet-C": 224, "Tiny-ImageNet-C": 64, "CIFAR-C": 32}
"""The released sets and the side of their images in pixels."""

SAVED_AS_JPEG = {"ImageNet-C": 85, "Tiny-ImageNet-C": 85, "CIFAR-C": None}
"""The JPEG quality of the images of each released set; CIFAR-C is stored as pixels."""

VALUES_PER_CHUNK = {"cpu": 1 << 17, "cuda": 1 << 22}
"""Pixel values that are corrupted at once; on a CPU, few enough for its cache."""


def released_set(size: int) -> str:
    """Select the released set whose constants apply to images of `size` pixels a side."""
    return "ImageNet-C" if size >= 224 else "Tiny-ImageNet-C" if size >= 64 else "CIFAR-C"


def corrupt(name: str, images_BCHW: "Tensor", severity: int, indices: "NDArray[np.int64]") -> "Tensor":
    """Corrupt images (B, C, S, S) in [0, 1] with the named corruption.

    The images before and after are of 8 bits: multiples of 1/255. Corrupted values are truncated to them, not rounded,
    as numpy's cast to uint8 does. Images of 64 px and more are then compressed as JPEG, as in the released sets.
    """
    module = importlib.import_module(f"whole_in_parts.evaluation.corruptions.{name}")
    released = released_set(images_BCHW.shape[-1])
    constant = module.CONSTANTS[released][severity - 1]
    quality = SAVED_AS_JPEG[released]
    result_BCHW = images_BCHW.clone()

    chunk_size = max(1, VALUES_PER_CHUNK[images_BCHW.device.type] // images_BCHW[0].numel())
    for start in range(0, len(indices), chunk_size):
        chunk = slice(start, start + chunk_size)
        # Multiples of 1/255 in double precision, free of the rounding errors of single precision.
        exact_BCHW = images_BCHW[chunk].double().mul(255).round() / 255
        corrupted_BCHW = truncate_to_8_bit(module.apply(exact_BCHW, constant, indices[chunk], severity).clamp(0, 1))
        result_BCHW[chunk] = corrupted_BCHW if quality is None else compress_as_jpeg(corrupted_BCHW, quality)

    return result_BCHW


def truncate_to_8_bit(images_BCHW: "Tensor") -> "Tensor":
    """Truncate images in [0, 1] to multiples of 1/255; 1e-6 makes up for rounding errors just below a multiple."""
    return (images_BCHW * 255 + 1e-6).floor() / 255


def compress_as_jpeg(images_BCHW: "Tensor", quality: int) -> "Tensor":
    """Compress images of 8 bits as JPEG and decode them again."""
    # Imported here because the report imports SEVERITIES from this module and does not need torch.
    from whole_in_parts.evaluation.corruptions.jpeg_compression import jpeg_round_trip

    return jpeg_round_trip(images_BCHW, quality)
