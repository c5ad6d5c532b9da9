"""Images and random numbers to try the views on."""

import numpy as np
import torch
from torch import Tensor

BATCH, SIZE = 12, 20
SAMPLES = np.arange(BATCH)
SPREAD = torch.linspace(0.01, 0.99, BATCH)


def equal(ours: Tensor, theirs: Tensor, atol: float = 1e-5) -> None:
    """Both work in float32, so that 1e-5 is equal; a grey level is 4e-3."""
    torch.testing.assert_close(ours, theirs, atol=atol, rtol=0)


def random_images(channels: int = 3, height: int = SIZE, width: int = SIZE) -> Tensor:
    """Images (uint8) that hold black, white and grey pixels too, where hue has no value."""
    images_BCHW = torch.randint(0, 256, (BATCH, channels, height, width), generator=torch.Generator().manual_seed(0))
    images_BCHW[:, :, 0, 0], images_BCHW[:, :, 0, 1], images_BCHW[:, :, 0, 2] = 0, 255, 77
    return images_BCHW.to(torch.uint8)


def drawn(**given):
    """Draws that give the values of `given`, (B,) or (times, B), and else one half."""

    def draw(name: str, times: int = 1) -> Tensor:
        values = torch.as_tensor(given.get(name, 0.5))
        return values.expand(BATCH) if times == 1 else values.expand(times, BATCH)

    return draw
