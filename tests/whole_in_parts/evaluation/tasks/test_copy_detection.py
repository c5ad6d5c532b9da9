"""Copy detection among pictures that are made here: each step against a formula, and the whole by every stage."""

import numpy as np
import pytest
import torch

from tests.whole_in_parts.evaluation.tasks.conftest import SIZE
from tests.whole_in_parts.evaluation.tasks.pictures import distorted, picture, sample, save
from whole_in_parts.config.tasks.copy_detection import CopyDetectionConfig
from whole_in_parts.data.sources.copydays import WHITENING
from whole_in_parts.evaluation.tasks import copy_detection
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Representations

OPTIONS = CopyDetectionConfig(name="copy_detection")
GROUPS = [f"{number:04d}" for number in range(12)]


def copies(perfect: bool, whitening: int, distractors: int = 20):
    """A file system of originals, two copies of each, and photographs of something else."""
    images = {f"original/{name}00.png": picture(number) for number, name in enumerate(GROUPS)}
    images |= {
        f"strong/{name}{copy:02d}.png": picture(number)
        if perfect
        else distorted(picture(number), 2 * number + copy, darkest=0.9, noise=5)
        for number, name in enumerate(GROUPS)
        for copy in (1, 2)
    }
    images |= {f"distractors/{number}.png": picture(1000 + number) for number in range(distractors)}
    return images | {f"whitening/{number}.png": picture(2000 + number) for number in range(whitening)}


def entry(tmp_path, perfect: bool, whitening: int) -> tuple[dict, dict]:
    """The source of such a dataset, and what it has to hold."""
    folder = save(copies(perfect, whitening), tmp_path / "copydays")
    expect = {"train": 12 + 20 + whitening, "test": 24, "classes": 13 + bool(whitening), "empty": 1 + bool(whitening)}
    return {"name": "copydays", "path": folder}, expect | {"imbalance": 40, "duplicates": 12 if perfect else 0}


@pytest.mark.parametrize("whitening", [0, 40])
def test_perfect_copies_are_all_found_first(ask, tmp_path, whitening):
    found = ask(*entry(tmp_path, True, whitening), OPTIONS.model_dump())
    assert found == {"map": 100, "queries": 24, "database": 32, "whitening": whitening}


def test_strong_copies_are_found_better_than_by_chance_even_by_whitened_random_weights(ask, tmp_path, claim):
    found = ask(*entry(tmp_path, False, 40), OPTIONS.model_dump() | {"image_size": 48})
    chance = 100 * np.mean([1 / (2 * rank) + 0.5 * (rank == 1) for rank in range(1, 33)])
    assert chance < 10
    claim("map", found["map"], above=2 * chance)


def test_descriptors_are_whitened_less_the_mean_of_the_whitening_images_and_before_they_are_compared(give):
    classes = [*GROUPS, WHITENING]
    train = [sample(f"o{number}", number, picture(number)) for number in range(12)]
    white = [sample(f"w{number}", 12, picture(2000 + number)) for number in range(30)]
    test = [sample(f"s{number}", number, distorted(picture(number), number)) for number in range(12)]
    context = give(train + white, test, classes)

    def described(samples: list, images) -> np.ndarray:
        indices = np.array([images.shards.keys.index(one.key) for one in samples])
        return copy_detection.compute_descriptors(context, images, indices, SIZE, "").numpy()

    base, others, queries = (
        described(train, context.train),
        described(white, context.train),
        described(test, context.test),
    )
    values, vectors = np.linalg.eigh(others.T @ others / len(others))
    root = vectors / np.sqrt(np.maximum(values, 1e-5 * values.max())) @ vectors.T
    base, queries = ((x - others.mean(0)) @ root for x in (base, queries))
    unit_base, unit_queries = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (base, queries))
    order = np.argsort(-(unit_queries @ unit_base.T), axis=1)
    ranks = [int(np.flatnonzero(order[number] == number)[0]) for number in range(12)]
    expected = 100 * np.mean([(1.0 if rank == 0 else 0.0) / 2 + 1 / (rank + 1) / 2 for rank in ranks])
    assert copy_detection.evaluate(context, OPTIONS)["map"] == pytest.approx(expected, abs=1e-3)


def test_the_descriptor_is_the_global_representation_beside_the_mean_of_fourth_powers():
    local_BCNN, global_BD = torch.randn(2, 3, 4, 5), torch.randn(2, 6)
    found_BF = copy_detection.descriptor(Representations((local_BCNN,), local_BCNN.mean((2, 3)), global_BD))
    for image in range(2):
        expected = global_BD[image].tolist()
        for channel in range(3):
            powers = [max(float(value), 1e-6) ** 4 for value in local_BCNN[image, channel].flatten()]
            expected.append((sum(powers) / len(powers)) ** 0.25)
        assert found_BF[image].tolist() == pytest.approx(expected, rel=1e-4)


def test_whitened_images_have_uncorrelated_components_of_length_one():
    x_NF = torch.randn(500, 6, dtype=torch.double) @ torch.randn(6, 6, dtype=torch.double) + 1
    mean_F, whitening_FF = copy_detection.fit_whitening(x_NF)
    torch.testing.assert_close(mean_F, x_NF.mean(0))
    white_NF = x_NF @ whitening_FF  # second moments about zero: what the mean is taken off comes later
    torch.testing.assert_close(white_NF.T @ white_NF / len(x_NF), torch.eye(6).double())


def test_a_direction_without_variance_counts_as_one_of_a_hundred_thousandth_of_the_largest():
    x_NF = torch.randn(500, 3, dtype=torch.double) * torch.tensor([2.0, 1.0, 0.0]).double()
    largest = torch.linalg.eigvalsh(x_NF.T @ x_NF / 500).max()
    _, whitening_FF = copy_detection.fit_whitening(x_NF)
    scales_F = torch.linalg.svdvals(whitening_FF)
    assert scales_F.max() == pytest.approx(float((1e-5 * largest) ** -0.5))


@pytest.mark.parametrize(("top", "expected"), [(1, 0), (2, 0.125), (20, (0.5 + (1 / 3 + 2 / 4)) / 2 / 2)])
def test_what_is_not_among_the_nearest_counts_as_not_found(top, expected):
    angles = torch.tensor([0.1, 0.2, 0.3, 0.4]).double()  # from the query, and so in this order
    database_MF = torch.stack([angles.cos(), angles.sin()], 1) * torch.tensor([[3.0], [1.0], [9.0], [1.0]]).double()
    query_QF = torch.tensor([[1.0, 0.0]]).double()
    (found,) = copy_detection.average_precisions(query_QF, np.array([7]), database_MF, np.array([1, 7, 2, 7]), top)
    assert found == pytest.approx(expected)


def test_an_image_becomes_a_square_whatever_its_shape_as_pillow_makes_it_up_to_two_grey_levels():
    image = picture(0)
    ours_CSS = copy_detection.resize_to_square(torch.tensor(np.array(image)).permute(2, 0, 1), 20)
    theirs = torch.tensor(np.array(image.resize((20, 20), 3))).permute(2, 0, 1)
    assert (ours_CSS - theirs).abs().max() <= 2
    assert copy_detection.resize_to_square(torch.full((1, 7, 3), 255, dtype=torch.uint8), 20).max() == 255


def test_a_query_of_a_class_that_the_database_has_not_is_refused(give):
    context = give([sample("a", 0, picture(0))], [sample("b", 1, picture(1))], ["cat", "dog"])
    with pytest.raises(Failure, match="the label spaces differ: test has class dog, and no image of train has it"):
        copy_detection.evaluate(context, OPTIONS)
