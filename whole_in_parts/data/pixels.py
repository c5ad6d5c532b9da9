"""Pixels of one image (C, H, W) in uint8: from Pillow, and resized for evaluation."""

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


def to_tensor(image: Image.Image, channels: int) -> Tensor:
    """Return the pixels (C, H, W) of an image in uint8, as greyscale for one channel and as RGB otherwise."""
    pixels = np.array(image.convert("L" if channels == 1 else "RGB"))
    return torch.from_numpy(pixels).view(*pixels.shape[:2], channels).permute(2, 0, 1)


def resize_center_crop(image_CHW: Tensor, size: int, interpolation: str = "bilinear") -> Tensor:
    """Resize the shorter side to `size` and crop the centre to (C, size, size), as in evaluation."""
    height, width = image_CHW.shape[1:]
    if (height, width) == (size, size):
        return image_CHW

    short = min(height, width)
    extent = (height * size // short, width * size // short)
    resized_CHW = F.interpolate(image_CHW[None].float(), extent, mode=interpolation, antialias=True)[0]

    top = round((extent[0] - size) / 2)
    left = round((extent[1] - size) / 2)
    return resized_CHW[:, top : top + size, left : left + size].round().clamp(0, 255).to(torch.uint8)
