"""Views that are cut from images of many sizes, against torchvision, and what they depend on."""

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2 import functional as tv

from stages.shard import pack
from whole_in_parts.augment.views import Batch, Crop
from whole_in_parts.config.transform import ImageTransform
from whole_in_parts.config.views import View
from whole_in_parts.data import sample_order, shards, variable_size
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.data.source import Sample, png
from whole_in_parts.data.variable_size import VariableSizeImages, squashed_images, training_images
from whole_in_parts.failure import Failure
from whole_in_parts.training.loop import iter_batches

CPU = torch.device("cpu")
SIZES = [(12, 12), (40, 25), (17, 60), (33, 33), (90, 14), (21, 22)]
FULL = View(crop_scale=(0.1, 1), blur=0.5, solarize=0.3)
CUT = {"jitter": 0, "greyscale": 0}
CROPS = [Crop(FULL, 12), Crop(FULL, 8)]


def pictures() -> list[Image.Image]:
    dice = np.random.default_rng(0)
    return [Image.fromarray(dice.integers(0, 256, (*size, 3), dtype=np.uint8)) for size in SIZES]


@pytest.fixture(scope="module")
def split(tmp_path_factory) -> Shards:
    folder = tmp_path_factory.mktemp("originals") / "train"
    folder.mkdir()
    samples = [Sample(str(number), number, png(image), "png") for number, image in enumerate(pictures())]
    pack(samples, [str(number) for number in range(len(SIZES))], folder, 4, "train")
    return Shards(folder)


def turned(step: int, parts: int = 1) -> list[np.ndarray]:
    """All images, each step beginning with another, in so many pieces."""
    return np.split((np.arange(len(SIZES)) + step) % len(SIZES), parts)


def batches(
    images: VariableSizeImages, crops=CROPS, seed: int = 3, steps: range = range(5, 8), pieces=turned
) -> list[Batch]:
    return [*images.batches(torch.from_numpy(images.shards.labels), crops, pieces, seed, steps)]


def content(batch: Batch) -> list[Tensor]:
    return [*batch.views, *batch.boxes, *batch.flips, batch.labels_B]


def assert_same(some: list[Batch], others: list[Batch]) -> None:
    for batch, other in zip(some, others, strict=True):
        assert all(torch.equal(one, two) for one, two in zip(content(batch), content(other), strict=True))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_view_is_the_resized_crop_of_torchvision_from_the_whole_image(split, interpolation):
    recipe = View(crop_scale=(0.1, 1), interpolation=interpolation, **CUT)
    (batch,) = batches(VariableSizeImages(split, 12, 3), [Crop(recipe, 10)] * 2)
    assert 0 < sum(int(flip_B.sum()) for flip_B in batch.flips) < 12
    for views_BCSS, boxes_B4, flip_B in zip(*batch[:3], strict=True):
        for view_CSS, box_4, flip, label in zip(views_BCSS, boxes_B4, flip_B, batch.labels_B, strict=True):
            box, mode = map(int, box_4), tv.InterpolationMode(interpolation)
            theirs = tv.resized_crop(pictures()[label], *box, [10, 10], mode)
            theirs_CSS = tv.to_dtype(tv.pil_to_tensor(tv.horizontal_flip(theirs) if flip else theirs), scale=True)
            torch.testing.assert_close(view_CSS, theirs_CSS, atol=1e-6, rtol=0)


def test_every_box_is_within_its_own_image_and_the_largest_reach_its_ends(split):
    images, size_N2 = VariableSizeImages(split, 12, 3), torch.tensor(SIZES)
    whole, shares = View(crop_scale=(1, 1), ratio=(0.1, 10), **CUT), View(crop_scale=(0.1, 1), **CUT)
    (batch,) = batches(images, [Crop(whole, 4), *[Crop(shares, 4)] * 40])
    size_B2 = size_N2[batch.labels_B]
    assert torch.equal(batch.boxes[0][:, 2:].long(), size_B2)
    for box_B4 in batch.boxes:
        assert (box_B4[:, :2] >= 0).all()
        assert (box_B4[:, :2] + box_B4[:, 2:] <= size_B2).all()


def test_the_views_are_the_same_for_any_number_of_workers_and_whatever_was_begun_before(split, monkeypatch):
    alone = [
        batch for step in range(4) for batch in batches(VariableSizeImages(split, 12, 3), steps=range(step, step + 1))
    ]
    for number in (1, 4):
        monkeypatch.setattr(shards, "workers", lambda number=number: number)
        images = VariableSizeImages(split, 12, 3)
        assert_same([batch for step in range(4) for batch in batches(images, steps=range(step, step + 3))], alone)
        assert len(images._pending) == 2


def test_pieces_of_a_batch_are_what_the_whole_is(split):
    (whole,), pieces = (
        batches(VariableSizeImages(split, 12, 3)),
        batches(VariableSizeImages(split, 12, 3), pieces=partial(turned, parts=3)),
    )
    for number, joined in enumerate(map(torch.cat, zip(*map(content, pieces), strict=True))):
        torch.testing.assert_close(joined, content(whole)[number], atol=1e-6, rtol=0)


def test_what_was_begun_for_other_views_is_not_taken_for_these(split):
    images = VariableSizeImages(split, 12, 3)
    batches(images, seed=1, steps=range(5, 8))
    assert_same(
        batches(images, seed=2, steps=range(6, 7)), batches(VariableSizeImages(split, 12, 3), seed=2, steps=range(6, 7))
    )


@pytest.mark.parametrize("held", [True, False], ids=["held in memory", "decoded each time"])
def test_an_image_is_decoded_once_for_all_its_views_and_once_for_all_steps_where_it_can_be_held(
    split, monkeypatch, held
):
    monkeypatch.setattr(shards, "HELD_IN_MEMORY", 0)
    monkeypatch.setattr(variable_size, "HELD_IN_MEMORY", 1 << 30 if held else 0)
    images, decoded, genuine = VariableSizeImages(split, 12, 3), [], Images.open
    monkeypatch.setattr(Images, "open", lambda self, number: decoded.append(number) or genuine(self, number))
    for step in range(2):
        batches(images, steps=range(step, step + 1))
    assert sorted(decoded) == sorted([*range(len(SIZES))] * (1 if held else 2))


RUN = SimpleNamespace(batch_size=4, seed=7, accumulate=2, epochs=3)


def test_a_training_takes_the_batches_of_its_steps_and_begins_none_beyond_its_last(split):
    images, labels_N = VariableSizeImages(split, 12, 3), torch.from_numpy(split.labels)

    def pieces(step: int) -> list[np.ndarray]:
        return np.split(sample_order.batch(step, len(images), 4, 7), 2)

    for step in range(3):
        expected = batches(VariableSizeImages(split, 12, 3), CROPS, 7, range(step, step + 1), pieces)
        assert_same([*iter_batches(images, labels_N, CROPS, RUN, step)], expected)
    assert not images._pending


def test_one_box_for_all_images_is_cut_from_their_squares(split):
    crops = [Crop(FULL, 8, uniform=True)]
    made = [
        [*iter_batches(kind(split, 12, 3), torch.from_numpy(split.labels), crops, RUN, 0)]
        for kind in (VariableSizeImages, Images)
    ]
    assert_same(*made)


def test_by_number_images_are_fitted_to_the_square_as_for_evaluation(split):
    indices = np.arange(len(SIZES))
    assert torch.equal(VariableSizeImages(split, 12, 3)[indices], Images(split, 12, 3)[indices])


def test_images_that_have_the_size_are_trained_on_as_they_are(split, shards):
    digits = Shards(shards / "train")
    assert type(training_images(digits, 8, 1)) is Images
    assert type(training_images(digits, 6, 1)) is VariableSizeImages
    assert type(training_images(digits, 8, 1, ImageTransform(resize=9))) is VariableSizeImages
    assert type(training_images(split, 12, 3)) is VariableSizeImages


def test_squashed_images_are_those_of_torchvision_whatever_their_aspect(split):
    images_BCSS = squashed_images(split, 20, 3, CPU)[np.arange(len(SIZES))]
    for image_CSS, label in zip(images_BCSS, split.labels, strict=True):
        theirs = tv.resize(pictures()[label], [20, 20], tv.InterpolationMode.BILINEAR)
        assert torch.equal(image_CSS, tv.pil_to_tensor(theirs))


def test_an_image_that_cannot_be_decoded_stops_the_batch_and_is_named(split, monkeypatch):
    monkeypatch.setattr(Shards, "__getitem__", lambda self, number: b"")
    with pytest.raises(Failure, match=r"in .*\.tar: cannot be decoded"):
        batches(VariableSizeImages(split, 12, 3))
