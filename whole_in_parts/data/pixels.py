"""Pixels of one image: decoded, resized and cropped for evaluation, and as a tensor (C, H, W) in uint8."""

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from whole_in_parts.config.transform import ImageTransform
from whole_in_parts.failure import first_line

FILTERS = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


def decode(content: bytes, channels: int, extent: NDArray[np.int64] | None = None) -> Image.Image:
    """Decode an image file with Pillow, as greyscale for one channel and as RGB otherwise.

    Args:
        content: the file.
        channels: 1 or 3.
        extent: its height and width in pixels, if they are known.

    Raises:
        ValueError: it cannot be decoded, or has another extent.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            if extent is not None and (image.height, image.width) != (*extent,):
                raise ValueError(f"{image.width}×{image.height} pixels, where the index says {extent[1]}×{extent[0]}")
            return image.convert("L" if channels == 1 else "RGB")
    except Exception as error:  # a broken file makes Pillow raise errors of many types
        raise ValueError(first_line(error)) from error


def to_tensor(image: Image.Image, channels: int) -> Tensor:
    """Return the pixels (C, H, W) of an image in uint8, as greyscale for one channel and as RGB otherwise."""
    pixels = np.array(image.convert("L" if channels == 1 else "RGB"))
    return torch.from_numpy(pixels).view(*pixels.shape[:2], channels).permute(2, 0, 1)


def resize_center_crop(image: Image.Image, size: int, transform: ImageTransform) -> Image.Image:
    """Resize an image and crop the centre of `size` × `size` pixels, as torchvision's Resize and CenterCrop."""
    short = min(image.size)
    resize = transform.resize or size
    width, height = (side * resize // short if transform.keep_aspect else resize for side in image.size)
    if image.size != (width, height):
        image = image.resize((width, height), FILTERS[transform.interpolation])

    left = round((width - size) / 2)
    top = round((height - size) / 2)
    return image.crop((left, top, left + size, top + size))
