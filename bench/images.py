"""Pack crops of the two photographs that scikit-learn ships into shards of JPEGs, as images to benchmark with."""

import io
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_sample_images

from stages.shard import pack
from whole_in_parts.data.shards import Shards
from whole_in_parts.data.source import Sample


def photographs(folder: Path, count: int, size: int) -> Shards:
    """Pack a split of `count` square JPEGs of `size` pixels per side."""
    rng = np.random.default_rng(0)
    originals = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    samples = []
    for number in range(count):
        original = originals[number % 2]
        side = int(rng.integers(size, 6 * size))
        left = int(rng.integers(original.width - side))
        top = int(rng.integers(original.height - side))
        stream = io.BytesIO()
        original.crop((left, top, left + side, top + side)).resize((size, size)).save(stream, "jpeg", quality=90)
        samples.append(Sample(f"{number:06d}", number % 10, stream.getvalue(), "jpg"))

    pack(samples, [str(label) for label in range(10)], folder, 10_000, "photographs")
    return Shards(folder)
