"""Pictures: random patterns, coarse enough for a copy to be told by them."""

from pathlib import Path

import numpy as np
from PIL import Image

from whole_in_parts.data.source import Sample, png


def picture(number: int) -> Image.Image:
    """One of endlessly many pictures."""
    coarse = np.random.default_rng(number).integers(0, 256, (5, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((48, 40), Image.Resampling.BICUBIC)


def distorted(image: Image.Image, seed: int, darkest: float = 0.6, noise: float = 20) -> Image.Image:
    """A copy that is cropped, resized, darker and full of noise, of so many grey levels."""
    draw = np.random.default_rng(seed)
    left, top = draw.integers(0, 6, 2).tolist()
    cut = np.asarray(image.crop((left, top, left + 42, top + 34)).resize((37, 31)), float)
    noisy = cut * draw.uniform(darkest, 0.9) + draw.normal(0, noise, cut.shape)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8))


def sample(key: str, label: int, image: Image.Image, annotation: dict | None = None) -> Sample:
    return Sample(key, label, png(image), "png", annotation)


def save(images: dict[str, Image.Image], folder: Path) -> Path:
    """Write images to the names that they have in a folder."""
    for name, image in images.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(folder / name)
    return folder
