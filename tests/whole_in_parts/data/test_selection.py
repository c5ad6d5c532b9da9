"""Some classes of a dataset, and a fraction of its train images."""

import numpy as np
import pytest
from pydantic import ValidationError

from whole_in_parts.config.datasets import Dataset as DatasetConfig
from whole_in_parts.data.selection import labels_of, select
from whole_in_parts.data.source import Arrays, Dataset
from whole_in_parts.failure import Failure

CLASSES = ["ant", "bee", "cat"]
LABELS = {"train": np.repeat([0, 1, 2], [10, 20, 40]), "test": np.repeat([0, 1, 2], [3, 4, 5])}


@pytest.fixture
def content() -> Dataset:
    """Images of one grey each, which is their number."""
    pixels = {split: np.arange(len(labels), dtype=np.uint8) for split, labels in LABELS.items()}
    arrays = {split: np.broadcast_to(grey[:, None, None], (len(grey), 4, 4)) for split, grey in pixels.items()}
    return Dataset(CLASSES, {split: Arrays(arrays[split].copy(), LABELS[split]) for split in LABELS})


def test_all_classes_and_images_are_the_dataset_itself(content):
    assert select(content, "animals", None, 1.0) is content


def test_the_named_classes_are_labelled_in_their_order_and_no_other_image_is_left(content):
    chosen = select(content, "animals", ["cat", "ant"], 1.0)
    assert chosen.classes == ["cat", "ant"]
    for split, samples in chosen.splits.items():
        originals = [(sample.key, CLASSES[sample.label], sample.image) for sample in content.splits[split]]
        expected = [(key, name, image) for key, name, image in originals if name != "bee"]
        assert [(sample.key, chosen.classes[sample.label], sample.image) for sample in samples] == expected
        assert labels_of(samples).tolist() == [sample.label for sample in samples]


def test_unlabelled_images_stay_whatever_is_chosen_of_the_others(content):
    unlabelled = Arrays(np.zeros((5, 4, 4), np.uint8), np.full(5, -1))
    with_them = Dataset(CLASSES, content.splits | {"unlabelled": unlabelled})
    chosen = select(with_them, "animals", ["cat", "ant"], 0.5)
    assert chosen.splits["unlabelled"] is unlabelled
    without = select(content, "animals", ["cat", "ant"], 0.5)
    for split, samples in without.splits.items():
        assert list(chosen.splits[split]) == list(samples)


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_a_fraction_is_that_of_each_class_of_train_always_the_same_and_leaves_test_alone(content, fraction):
    chosen, again = (select(content, "animals", None, fraction) for _ in range(2))
    assert np.bincount(labels_of(chosen.splits["train"])).tolist() == [round(fraction * n) for n in (10, 20, 40)]
    assert [sample.key for sample in chosen.splits["train"]] == [sample.key for sample in again.splits["train"]]
    assert {sample.key for sample in chosen.splits["train"]} < {sample.key for sample in content.splits["train"]}
    assert chosen.splits["test"] is content.splits["test"]


def test_a_larger_fraction_holds_the_smaller_one(content):
    small, large = (select(content, "animals", None, fraction).splits["train"] for fraction in (0.1, 0.3))
    assert {sample.key for sample in small} < {sample.key for sample in large}


def test_a_fraction_of_some_classes_is_of_these(content):
    chosen = select(content, "animals", ["bee", "cat"], 0.25)
    assert np.bincount(labels_of(chosen.splits["train"])).tolist() == [5, 10]


def test_a_class_that_is_not_there_is_named_with_some_that_are(content):
    with pytest.raises(
        Failure, match=r"datasets\.animals\.classes: 1 of 2 are not there, such as dog; .* ant, bee, cat"
    ):
        select(content, "animals", ["cat", "dog"], 1.0)


def test_a_fraction_that_leaves_a_class_without_an_image_is_refused_with_the_class(content):
    with pytest.raises(
        Failure, match=r"datasets\.animals\.fraction: 0\.02 of the 10 train images of class ant .* 0\.1"
    ):
        select(content, "animals", None, 0.02)


def test_imagenet_100_lacking_one_of_its_classes_is_refused_with_the_class(small):
    dataset = small.datasets["digits"].model_dump() | {"classes": "imagenet100"}
    classes = DatasetConfig.model_validate(dataset).classes
    with pytest.raises(Failure, match=r"datasets\.imagenet\.classes: 1 of 100 are not there, such as n13040303;"):
        select(Dataset(classes[:-1], {}), "imagenet", classes, 1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"classes": "imagenet10"}, "no list of classes is called imagenet10; there are: imagenet100"),
        ({"classes": ["0", "0"]}, "named more than once: 0"),
        ({"classes": ["0"]}, "at least 2 items"),
        ({"fraction": 0}, "greater than 0"),
        ({"fraction": 1.5}, "less than or equal to 1"),
    ],
)
def test_a_choice_that_is_none_is_refused_by_its_key(small, options, message):
    with pytest.raises(ValidationError, match=message):
        DatasetConfig.model_validate(small.datasets["digits"].model_dump() | options)
