"""Images to corrupt, and how the package imagecorruptions is given the random numbers that ours draw."""

import importlib
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image

from whole_in_parts.evaluation.corruption import SEVERITIES, corrupt, released_set

SETS = {"ImageNet-C": 224, "Tiny-ImageNet-C": 64, "CIFAR-C": 32}
NUMBERS = np.array([3, 0, 11, 7])
LEVEL = 1 / 255


def images(size: int, channels: int = 3, count: int = len(NUMBERS), cells: int = 4) -> torch.Tensor:
    """Images of 8 bits of a few large shapes with some noise on them."""
    dice = torch.Generator().manual_seed(0)
    coarse_BCHW = torch.rand(count, channels, cells, cells, generator=dice)
    noise_BCHW = torch.rand(count, channels, size, size, generator=dice)
    large_BCHW = torch.nn.functional.interpolate(coarse_BCHW, size)
    return (255 * (0.9 * large_BCHW + 0.1 * noise_BCHW)).round() / 255


def exact(images_BCHW: torch.Tensor) -> torch.Tensor:
    """The same in double precision, as `apply` is given them."""
    return images_BCHW.double().mul(255).round() / 255


def picture(image_CHW: torch.Tensor) -> Image.Image:
    return Image.fromarray(image_CHW.mul(255).round().byte().permute(1, 2, 0).numpy())


def applied(name: str, images_BCHW: torch.Tensor, severity: int) -> torch.Tensor:
    """What the file of a corruption makes of images, before they are cut to 8 bits; (B, S, S, C)."""
    module = importlib.import_module(f"whole_in_parts.evaluation.corruptions.{name}")
    constant = module.CONSTANTS[released_set(images_BCHW.shape[-1])][severity - 1]
    found_BCHW = module.apply(exact(images_BCHW), constant, NUMBERS[: len(images_BCHW)], severity)
    return found_BCHW.clamp(0, 1).permute(0, 2, 3, 1)


def distances(name: str, given_BCHW: torch.Tensor) -> list[float]:
    """How far each severity takes images from what they were."""
    return [float((corrupt(name, given_BCHW, severity, NUMBERS) - given_BCHW).norm()) for severity in SEVERITIES]


def draw(monkeypatch, name: str, values: Iterator) -> None:
    """Let a function of `np.random` give these values, one a call."""
    monkeypatch.setattr(f"numpy.random.{name}", lambda *_, **__: next(values))
