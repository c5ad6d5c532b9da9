import numpy as np
import pytest
from scipy.stats import kstest

from whole_in_parts.augment.randomness import mix, permutation, stratified, uniforms

MANY = 20_000
SAMPLES = np.arange(MANY)
ONE = np.array([5])


def test_mix_gives_the_published_sequence_of_splitmix64():
    states = np.uint64(1234567) + np.arange(5, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    assert mix(states).tolist() == [
        6457827717110365317,
        3203168211198807973,
        9817491932198370423,
        4593380528125082431,
        16408922859458223821,
    ]


def test_a_number_depends_on_its_sample_and_context_and_not_on_the_batch():
    batch = np.array([900, 17, 17, 3])
    np.testing.assert_array_equal(uniforms(batch, 3, 7, "flip"), uniforms(SAMPLES, 3, 7, "flip")[batch])


@pytest.mark.parametrize("context", [(4, 7, "flip"), (3, 8, "flip"), (3, 7, "blur"), (7, 3, "flip"), (-3, 7, "flip")])
def test_another_context_gives_other_numbers(context):
    assert not np.isin(uniforms(SAMPLES, *context), uniforms(SAMPLES, 3, 7, "flip")).any()


@pytest.mark.parametrize(
    "numbers",
    [
        uniforms(SAMPLES, 0, 0, "flip"),
        np.concatenate([uniforms(ONE, 0, step, "flip") for step in range(MANY // 4)]),
        np.concatenate([uniforms(ONE, seed, 0, "flip") for seed in range(MANY // 4)]),
        np.concatenate([uniforms(ONE, 0, 0, f"name {number}") for number in range(MANY // 4)]),
    ],
    ids=["samples", "steps", "seeds", "names"],
)
def test_numbers_are_uniform_and_neighbours_independent_across(numbers):
    assert kstest(numbers, "uniform").pvalue > 0.001
    assert kstest((numbers[1:] - numbers[:-1]) % 1, "uniform").pvalue > 0.001


def test_permutation_holds_every_number_once_and_is_another_one_in_another_epoch():
    first, second = permutation(1000, 0, 0, "order"), permutation(1000, 0, 1, "order")
    assert sorted(first) == sorted(second) == list(range(1000))
    assert (first == second).mean() < 0.02


@pytest.mark.parametrize("count", [50, 500])
def test_stratified_takes_the_same_share_of_each_class_in_order_and_once(count):
    labels = np.repeat([0, 1, 2], [100, 300, 600])[permutation(1000, "mixed")]
    chosen = stratified(labels, count, "subset")
    assert np.bincount(labels[chosen]).tolist() == [count // 10, 3 * count // 10, 6 * count // 10]
    assert (np.diff(chosen) > 0).all()


def test_stratified_takes_everything_where_more_is_asked_for_than_there_is():
    assert stratified(np.array([0, 1, 1, 0]), 100, "subset").tolist() == [0, 1, 2, 3]
