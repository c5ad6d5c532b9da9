"""JPEG compression by Pillow: the constants are the quality, from 1 to 100."""

import io
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

CONSTANTS = {
    "ImageNet-C": (25, 18, 15, 10, 7),
    "Tiny-ImageNet-C": (65, 58, 50, 40, 25),
    "CIFAR-C": (80, 65, 58, 50, 40),
}


def apply(images_BCHW: Tensor, quality: int, indices: NDArray[np.int64], severity: int) -> Tensor:
    return jpeg_round_trip(images_BCHW, quality)


def jpeg_round_trip(images_BCHW: Tensor, quality: int) -> Tensor:
    """Compress images as JPEG and decode them again."""

    def compress(image: Image.Image) -> Image.Image:
        stream = io.BytesIO()
        image.save(stream, "jpeg", quality=quality)
        return Image.open(stream)

    return apply_to_pillow_images(compress, images_BCHW)


def apply_to_pillow_images(change: Callable[[Image.Image], Image.Image], images_BCHW: Tensor) -> Tensor:
    """Apply a function of Pillow images, 8-bit grey or RGB, to each image."""
    bytes_BHWC = images_BCHW.mul(255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
    # Pillow takes a grey image without a channel axis.
    changed = [
        np.asarray(change(Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)))
        for image in bytes_BHWC
    ]
    changed_BHWC = torch.from_numpy(np.stack(changed)).view(bytes_BHWC.shape)
    return changed_BHWC.permute(0, 3, 1, 2).to(images_BCHW) / 255
