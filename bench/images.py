"""Real photographs to measure with: crops of the two that scikit-learn ships, as JPEG in shards."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from stages.shard import pack
from whole_in_parts.data.shards import Shards
from whole_in_parts.data.source import Sample


def photographs(folder: Path, count: int, size: int) -> Shards:
    """A split of `count` JPEGs of `size` pixels a side."""
    dice, originals = np.random.default_rng(0), [Image.fromarray(pixels) for pixels in load_sample_images().images]
    samples = []
    for number in range(count):
        original, side = originals[number % 2], int(dice.integers(size, 6 * size))
        left, top = int(dice.integers(original.width - side)), int(dice.integers(original.height - side))
        stream = io.BytesIO()
        original.crop((left, top, left + side, top + side)).resize((size, size)).save(stream, "jpeg", quality=90)
        samples.append(Sample(f"{number:06d}", number % 10, stream.getvalue(), "jpg"))
    pack(samples, [str(label) for label in range(10)], folder, 10_000, "photographs")
    return Shards(folder)
