"""What tasks have in common: the average precision, and that labels mean the same in both splits."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import average_precision_score

from tests.whole_in_parts.evaluation.tasks.conftest import SIZE
from tests.whole_in_parts.evaluation.tasks.pictures import picture, sample
from whole_in_parts.config.tasks.copy_detection import CopyDetectionConfig
from whole_in_parts.config.tasks.finetune import FinetuneConfig
from whole_in_parts.config.tasks.linear import LinearTaskConfig
from whole_in_parts.config.tasks.linear_on_crops import LinearOnCropsConfig
from whole_in_parts.config.tasks.retrieval import RetrievalConfig
from whole_in_parts.data.shards import Images, Shards
from whole_in_parts.evaluation import task
from whole_in_parts.evaluation.random_crops import random_crops
from whole_in_parts.evaluation.task import average_precision, load_task
from whole_in_parts.failure import Failure

RANKINGS = [np.random.default_rng(seed).random(length) < 0.3 for seed in range(20) for length in (1, 4, 30)]
RANKINGS = [found for found in RANKINGS if found.any()]


def by_trapezoids(found: list[bool], positives: int) -> float:
    """The area, strip by strip."""
    area, hits = 0.0, 0
    for rank, hit in enumerate(found):
        if hit:
            before = 1.0 if rank == 0 else hits / rank
            hits += 1
            area += (before + hits / (rank + 1)) / 2 / positives
    return area


@pytest.mark.parametrize("beyond", [0, 3])
def test_average_precision_is_the_sum_of_trapezoids_also_where_positives_were_not_found(beyond):
    for found in RANKINGS:
        positives = int(found.sum()) + beyond
        ours = average_precision(torch.from_numpy(found), positives)
        assert ours == pytest.approx(by_trapezoids(found.tolist(), positives), abs=1e-12)


def test_average_precision_is_not_above_that_of_scikit_learn_whose_strips_are_as_high_as_the_higher_side():
    for found in RANKINGS:
        ours = average_precision(torch.from_numpy(found), int(found.sum()))
        theirs = average_precision_score(found, -np.arange(len(found)))
        hits = np.flatnonzero(found)
        lower = [1.0 if rank == 0 else hit / rank for hit, rank in enumerate(hits)]
        assert ours <= theirs + 1e-12
        assert ours == pytest.approx((theirs + np.mean(lower)) / 2, abs=1e-12)


@pytest.mark.parametrize(("positives", "others"), [(1, 0), (1, 5), (4, 5)])
def test_average_precision_is_one_as_in_scikit_learn_if_all_positives_come_first(positives, others):
    found = np.arange(positives + others) < positives
    assert average_precision(torch.from_numpy(found), positives) == pytest.approx(1)
    assert average_precision_score(found, -np.arange(len(found))) == pytest.approx(1)


def test_nothing_found_has_a_precision_of_nothing():
    assert average_precision(torch.zeros(5, dtype=torch.bool), 2) == 0


OPTIONS = {
    "linear": LinearTaskConfig(name="linear"),
    "linear_on_crops": LinearOnCropsConfig(name="linear_on_crops", epochs=1, batch_size=2),
    "finetune": FinetuneConfig(name="finetune", epochs=1, batch_size=2, learning_rate=0.1),
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize(
    ("others", "message"),
    [
        (["cat", "fox"], "2 classes and 2; difference: dog, fox"),
        (["cat", "dog", "fox"], "2 classes and 3; difference: fox"),
        (["dog", "cat"], "2 classes and 2; difference: their order"),
    ],
)
def test_labels_that_mean_something_else_in_test_are_refused_by_name(give, name, others, message):
    samples = [sample(f"{number}", number % 2, picture(number)) for number in range(4)]
    context = give(samples, samples, ["cat", "dog"], others)
    with pytest.raises(Failure, match=f"{context.directory}: the label spaces of train and test differ: {message}"):
        load_task(name).evaluate(context, OPTIONS[name])


SPOILT = {
    **OPTIONS,
    "copy_detection": CopyDetectionConfig(name="copy_detection"),
    "retrieval": RetrievalConfig(name="retrieval"),
}


def spoil(folder: Path, image: bytes) -> None:
    """Overwrite the end of an image in its shard."""
    (tar,) = (file for file in folder.glob("*.tar") if image in file.read_bytes())
    content = tar.read_bytes()
    with tar.open("r+b") as stream:
        stream.seek(content.index(image) + len(image) - 400)
        stream.write(bytes(400))


@pytest.mark.parametrize("name", SPOILT)
def test_a_corrupt_image_is_named_whatever_the_task(give, name):
    nothing = {"easy": [], "hard": [], "junk": []}
    samples = [sample(f"{number}", number % 2, picture(number), nothing) for number in range(20)]
    context = give(samples, samples, ["cat", "dog"])
    spoil(context.directory / "train", samples[3].image)
    with pytest.raises(Failure, match=r"3 in .*/train/00000\d\.tar: the bytes are not those that were packed"):
        load_task(name).evaluate(context, SPOILT[name])


@pytest.mark.parametrize(("name", "training"), [("finetune", "finetune"), ("linear_on_crops", "crops_probe")])
def test_a_corrupt_image_of_the_test_is_named_before_a_training_that_would_be_lost(give, monkeypatch, name, training):
    monkeypatch.setattr(load_task(name), training, None)
    monkeypatch.setattr(task, "BATCH", 3)
    samples = [sample(f"{number}", number % 2, picture(number)) for number in range(10)]
    context = give(samples, samples, ["cat", "dog"])
    spoil(context.directory / "test", samples[9].image)
    with pytest.raises(Failure, match=r"9 in .*/test/00000\d\.tar: the bytes are not those that were packed"):
        load_task(name).evaluate(context, OPTIONS[name])


MARGIN = 10
"""The red pixels around a green picture."""


def with_margin(height: int, width: int) -> Image.Image:
    image = Image.new("RGB", (width + 2 * MARGIN, height + 2 * MARGIN), (255, 0, 0))
    image.paste(Image.new("RGB", (width, height), (0, 255, 0)), (MARGIN, MARGIN))
    return image


def test_crops_of_a_probe_reach_the_margins_of_photographs_and_are_those_of_torchvision(give):
    """A centre square of an image of 30 by 120 has nothing of the margins at its sides."""
    samples = [sample(f"{number}", number % 2, with_margin(30, 120)) for number in range(8)]
    context = give(samples, samples, ["cat", "dog"])
    assert float(context.test[np.arange(8)][:, 0, SIZE // 2].float().mean()) < 1

    crops_BCSS = torch.cat(
        [crops for crops, _ in random_crops(context.train, np.arange(8), 8, 0, range(20), context.device)]
    )
    reached = (crops_BCSS[:, 0, SIZE // 2, [0, -1]] > 0.9).any(1).double().mean()
    assert reached > 0.1
    assert crops_BCSS.shape == (160, 3, SIZE, SIZE)


def test_an_image_of_its_own_size_is_the_decoded_one(give):
    context = give([sample("0", 0, picture(0))], [sample("1", 1, picture(1))], ["cat", "dog"])
    pixels = np.asarray(picture(0)).transpose(2, 0, 1)
    np.testing.assert_array_equal(context.train.original(0), pixels)
    grey = Images(Shards(context.directory / "train"), SIZE, 1)
    np.testing.assert_array_equal(grey.original(0)[0], np.asarray(picture(0).convert("L")))
