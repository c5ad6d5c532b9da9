"""Compare the data path (shard, decode, two views) on one core with the transforms of lightly and of torchvision."""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from bench.images import photographs
from bench.pairs import Row, compare
from stages.shard import pack
from whole_in_parts.augment.views import Crop, make_batch
from whole_in_parts.config.views import View
from whole_in_parts.data.sample_order import batch
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.data.source import Sample
from whole_in_parts.data.variable_size import VariableSizeImages

IMAGES, BATCH, SIZE = 2048, 256, 32
LARGE_IMAGES, LARGE_BATCH, LARGE = 128, 64, 224
RECIPES = View(crop_scale=(0.08, 1.0), blur=1.0), View(crop_scale=(0.08, 1.0), blur=0.1, solarize=0.2)
NO_LABELS = torch.empty(0)

ViewPair = Sequence[Tensor]
Transform = Callable[[Image.Image], ViewPair]


class Encoded(Dataset[ViewPair]):
    """The data set of a plain torch loop on the same bytes: decode by Pillow, then transform."""

    def __init__(self, shards: Shards, transform: Transform) -> None:
        self.shards = shards
        self.transform = transform

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, number: int) -> ViewPair:
        with Image.open(io.BytesIO(self.shards[number])) as image:
            return self.transform(image.convert("RGB"))


def lightly_loader(shards: Shards, workers: int, size: int = SIZE, batch_size: int = BATCH) -> DataLoader[ViewPair]:
    """Build a DataLoader with lightly's BYOL transform."""
    from lightly.transforms import BYOLTransform
    from lightly.transforms.byol_transform import BYOLView1Transform, BYOLView2Transform

    transform = BYOLTransform(BYOLView1Transform(input_size=size), BYOLView2Transform(input_size=size))
    return loader(shards, transform, workers, batch_size)


def torchvision_loader(shards: Shards, size: int, batch_size: int) -> DataLoader[ViewPair]:
    """Build a DataLoader with the same recipes in torchvision's per-image transforms, in uint8 where possible."""
    from torchvision.transforms import v2

    def view(blur: float, solarize: float) -> Callable[[Image.Image], Tensor]:
        steps = [
            v2.PILToTensor(),
            v2.RandomResizedCrop(size, (0.08, 1.0), antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.4, 0.4, 0.2, 0.1)], 0.8),
            v2.RandomGrayscale(0.2),
            v2.RandomApply([v2.GaussianBlur(23, (0.1, 2.0))], blur),
            v2.RandomSolarize(128, solarize),
            v2.ToDtype(torch.float32, scale=True),
        ]
        return v2.Compose(steps)

    first = view(1.0, 0.0)
    second = view(0.1, 0.2)
    return loader(shards, lambda image: (first(image), second(image)), 0, batch_size)


def loader(shards: Shards, transform: Transform, workers: int, batch_size: int) -> DataLoader[ViewPair]:
    """Build a DataLoader that decodes and transforms image by image."""
    return DataLoader(Encoded(shards, transform), batch_size, shuffle=True, drop_last=True, num_workers=workers)


def our_views(images: Images, batch_size: int = BATCH) -> Iterator[list[Tensor]]:
    """Make the views of an epoch from images of the target size."""
    crops = [Crop(recipe, SIZE) for recipe in RECIPES]
    for step in range(len(images) // batch_size):
        indices = batch(step, len(images), batch_size, seed=0)
        yield make_batch(images[indices], NO_LABELS, crops, indices, 0, step).views


def our_large_views(images: VariableSizeImages) -> Iterator[list[Tensor]]:
    """Make the views of an epoch, cropped from the original images."""
    labels_N = torch.from_numpy(images.shards.labels)
    crops = [Crop(recipe, LARGE) for recipe in RECIPES]

    def batch_indices(step: int) -> list[np.ndarray]:
        return [batch(step, len(images), LARGE_BATCH, seed=0)]

    steps = len(images) // LARGE_BATCH
    for step in range(steps):
        yield from (
            views_batch.views
            for views_batch in images.batches(labels_N, crops, batch_indices, 0, range(step, min(step + 3, steps)))
        )


def large_photographs(folder: Path) -> Shards:
    """Pack JPEGs of 500 × 375 pixels, the average size of ImageNet."""
    from sklearn.datasets import load_sample_images

    originals = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    samples = []
    for number in range(LARGE_IMAGES):
        left = number % 64
        top = number % 48
        stream = io.BytesIO()
        photograph = originals[number % 2].crop((left, top, left + 560, top + 374)).resize((500, 375))
        photograph.save(stream, "jpeg", quality=95)
        samples.append(Sample(f"{number:06d}", 0, stream.getvalue(), "jpg"))
    folder.mkdir()
    pack(samples, ["photograph"], folder, 1_000, "photographs")
    return Shards(folder)


def rows(folder: Path) -> list[Row]:
    """Measure the data path on one core, for small and for large images."""
    torch.set_num_threads(1)
    return small(folder) + large(folder / "large")


def count(batches: Iterable[Sequence[Tensor]]) -> int:
    """Consume batches of views, and return the number of images."""
    return sum(len(views[0]) for views in batches)


def small(folder: Path) -> list[Row]:
    """Compare on images of 32 px, decoded in every epoch."""
    shards = photographs(folder, IMAGES, SIZE)
    lightly = lightly_loader(shards, workers=0)
    name = "data path, 32 px, one core, against lightly's BYOL transform"
    return [compare(name, lambda: count(our_views(Images(shards, SIZE, 3))), lambda: count(lightly), aim=5)]


def large(folder: Path) -> list[Row]:
    """Compare on large images, with all workers on one core and no cache in memory, as for ImageNet."""
    shards = large_photographs(folder)
    cores = os.sched_getaffinity(0)
    loaders = {
        "lightly's BYOL transform": lightly_loader(shards, 0, LARGE, LARGE_BATCH),
        "torchvision's transforms an image": torchvision_loader(shards, LARGE, LARGE_BATCH),
    }

    os.sched_setaffinity(0, {min(cores)})
    try:
        images = VariableSizeImages(shards, LARGE, 3)
        images._decoded = None
        return [
            compare(
                f"data path, 224 px, one core, against {name}", lambda: count(our_large_views(images)), other, aim=1
            )
            for name, other in ((name, lambda loader=loader: count(loader)) for name, loader in loaders.items())
        ]
    finally:
        os.sched_setaffinity(0, cores)
