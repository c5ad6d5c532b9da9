"""Corruptions of images, one file each, as Hendrycks and Dietterich (2019, arXiv:1903.12261) define them.

A file has `CONSTANTS`, five of them for each set that they released (ImageNet-C, Tiny-ImageNet-C, CIFAR-C), and
`apply(images_BCHW, constant, numbers, severity)`, which makes of images in [0, 1] corrupted ones, in any range. The
constants are those of the scripts that made the sets (hendrycks/robustness, `ImageNet-C/create_c/make_*_c.py`); where
they count pixels, they do at every size, unless a file says otherwise. Files that begin with _ are no corruptions.

What is random is a function of the sample number, the corruption's name and the severity. All is computed in double
precision and ends in 8 bits, as in the released sets: an image has the same bytes in a batch of any size.

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
"""The released sets and how many pixels a side their images have."""

SAVED_AS_JPEG = {"ImageNet-C": 85, "Tiny-ImageNet-C": 85, "CIFAR-C": None}
"""The JPEG quality at which a released set keeps its images; CIFAR-C keeps pixels."""

AT_ONCE = {"cpu": 1 << 17, "cuda": 1 << 22}
"""How many values are corrupted together: on a processor, few enough for its cache."""


def released_as(size: int) -> str:
    """The released set whose constants are for images of `size` pixels a side."""
    return "ImageNet-C" if size >= 224 else "Tiny-ImageNet-C" if size >= 64 else "CIFAR-C"


def corrupt(name: str, images_BCHW: "Tensor", severity: int, indices: "NDArray[np.int64]") -> "Tensor":
    """Images (B, C, S, S) in [0, 1], corrupted as the file `name` here says and as the released set keeps them.

    Both the given and the corrupted images are of 8 bits: whole numbers of 255ths. The corrupted are cut to them, not
    rounded, as numpy's cast does it. From 64 px they are compressed as JPEG once more, as the released ones are.
    """
    module = importlib.import_module(f"whole_in_parts.evaluation.corruptions.{name}")
    released = released_as(images_BCHW.shape[-1])
    constant, quality = module.CONSTANTS[released][severity - 1], SAVED_AS_JPEG[released]
    found_BCHW, few = images_BCHW.clone(), max(1, AT_ONCE[images_BCHW.device.type] // images_BCHW[0].numel())
    for start in range(0, len(indices), few):
        some = slice(start, start + few)
        exact_BCHW = images_BCHW[some].double().mul(255).round() / 255
        corrupted_BCHW = truncated(module.apply(exact_BCHW, constant, indices[some], severity).clamp(0, 1))
        found_BCHW[some] = corrupted_BCHW if quality is None else compressed(corrupted_BCHW, quality)
    return found_BCHW


def truncated(images_BCHW: "Tensor") -> "Tensor":
    """Images in [0, 1], cut to whole numbers of 255ths; what misses one by rounding errors alone counts as it."""
    return (images_BCHW * 255 + 1e-6).floor() / 255


def compressed(images_BCHW: "Tensor", quality: int) -> "Tensor":
    """Images of 8 bits, as JPEG gives them back."""
    # Not above: the report asks this package for the severities, and would wait for torch.
    from whole_in_parts.evaluation.corruptions.jpeg_compression import through_jpeg

    return through_jpeg(images_BCHW, quality)
