"""Shard → decode → two augmented views, on one core: ours against lightly's transform, and torchvision's, an image."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
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


class Encoded(Dataset):
    """What a plain torch loop would do with the same bytes: decode by Pillow, then transform."""

    def __init__(self, shards: Shards, transform):
        self.shards, self.transform = shards, transform

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, number: int):
        with Image.open(io.BytesIO(self.shards[number])) as image:
            return self.transform(image.convert("RGB"))


def lightly_loader(shards: Shards, workers: int, size: int = SIZE, batch_size: int = BATCH) -> DataLoader:
    """lightly's BYOL transform behind a torch DataLoader."""
    from lightly.transforms import BYOLTransform
    from lightly.transforms.byol_transform import BYOLView1Transform, BYOLView2Transform

    transform = BYOLTransform(BYOLView1Transform(input_size=size), BYOLView2Transform(input_size=size))
    return loader(shards, transform, workers, batch_size)


def torchvision_loader(shards: Shards, size: int, batch_size: int) -> DataLoader:
    """The same recipes in torchvision's transforms, an image at a time, in uint8 for as long as they can."""
    from torchvision.transforms import v2

    def view(blur: float, solarize: float):
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

    first, second = view(1.0, 0.0), view(0.1, 0.2)
    return loader(shards, lambda image: (first(image), second(image)), 0, batch_size)


def loader(shards: Shards, transform, workers: int, batch_size: int) -> DataLoader:
    return DataLoader(Encoded(shards, transform), batch_size, shuffle=True, drop_last=True, num_workers=workers)


def our_views(images: Images, batch_size: int = BATCH) -> Iterator[list[torch.Tensor]]:
    """The views of one epoch, of images that have the size."""
    crops = [Crop(recipe, SIZE) for recipe in RECIPES]
    for step in range(len(images) // batch_size):
        numbers = batch(step, len(images), batch_size, seed=0)
        yield make_batch(images[numbers], NO_LABELS, crops, numbers, 0, step).views


def our_large_views(images: VariableSizeImages) -> Iterator[list[torch.Tensor]]:
    """The views of one epoch, cut from the whole of each image."""
    labels_N, crops = torch.from_numpy(images.shards.labels), [Crop(recipe, LARGE) for recipe in RECIPES]

    def pieces(step: int) -> list[np.ndarray]:
        return [batch(step, len(images), LARGE_BATCH, seed=0)]

    steps = len(images) // LARGE_BATCH
    for step in range(steps):
        yield from (
            made.views for made in images.batches(labels_N, crops, pieces, 0, range(step, min(step + 3, steps)))
        )


def large_photographs(folder: Path) -> Shards:
    """JPEGs of 500 × 375 pixels, as ImageNet's are in the mean."""
    from sklearn.datasets import load_sample_images

    originals, samples = [Image.fromarray(pixels) for pixels in load_sample_images().images], []
    for number in range(LARGE_IMAGES):
        left, top, stream = number % 64, number % 48, io.BytesIO()
        part = originals[number % 2].crop((left, top, left + 560, top + 374)).resize((500, 375))
        part.save(stream, "jpeg", quality=95)
        samples.append(Sample(f"{number:06d}", 0, stream.getvalue(), "jpg"))
    folder.mkdir()
    pack(samples, ["photograph"], folder, 1_000, "photographs")
    return Shards(folder)


def rows(folder: Path) -> list[Row]:
    torch.set_num_threads(1)
    return small(folder) + large(folder / "large")


def count(batches) -> int:
    return sum(len(views[0]) for views in batches)


def small(folder: Path) -> list[Row]:
    shards = photographs(folder, IMAGES, SIZE)
    lightly = lightly_loader(shards, workers=0)
    what = "data path, 32 px, one core, against lightly's BYOL transform"
    return [compare(what, lambda: count(our_views(Images(shards, SIZE, 3))), lambda: count(lightly), aim=5)]


def large(folder: Path) -> list[Row]:
    """Nothing is held in memory, as nothing of ImageNet is, and the workers share the core."""
    shards, cores = large_photographs(folder), os.sched_getaffinity(0)
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
