import numpy as np
import pytest

from whole_in_parts.data import sample_order


def epoch(number: int, samples: int, size: int, seed: int = 0) -> list[int]:
    steps = sample_order.steps_per_epoch(samples, size)
    return np.concatenate(
        [sample_order.batch(step, samples, size, seed) for step in range(number * steps, (number + 1) * steps)]
    ).tolist()


@pytest.mark.parametrize(("samples", "size", "steps"), [(12, 4, 3), (15, 4, 3), (4, 4, 1)])
def test_an_epoch_is_whole_batches_of_samples_that_it_has_once(samples, size, steps):
    seen = epoch(0, samples, size)
    assert len(seen) == len(set(seen)) == steps * size
    assert set(seen) <= set(range(samples))


def test_each_epoch_and_each_seed_has_an_order_of_its_own():
    orders = [epoch(0, 64, 8), epoch(1, 64, 8), epoch(0, 64, 8, seed=1)]
    assert len({tuple(seen) for seen in orders}) == 3
    assert all(sorted(seen) == list(range(64)) for seen in orders)


def test_a_batch_is_the_same_whatever_was_asked_before():
    forwards = [sample_order.batch(step, 20, 4, 0).tolist() for step in range(30)]
    backwards = [sample_order.batch(step, 20, 4, 0).tolist() for step in reversed(range(30))]
    assert forwards == backwards[::-1]


def test_fewer_samples_than_a_batch_are_refused_by_the_name_of_the_key():
    with pytest.raises(ValueError, match="batch_size: a batch of 64 needs as many samples, and there are 63"):
        sample_order.batch(0, 63, 64, 0)
