"""The order in which embeddings enter a queue and leave it."""

import torch
from torch import Tensor

from whole_in_parts.models.queue import Queue

PLACES, WIDTH = 6, 3


def rows(first: int, number: int, positions: int = 1) -> Tensor:
    """Embeddings (P, B, D) of images, of which each is filled with its number, plus a hundred times its position."""
    numbers_PB = 100 * torch.arange(positions)[:, None] + torch.arange(first, first + number)
    return numbers_PB[..., None].expand(-1, -1, WIDTH).float()


def pushed(queue: Queue, step: int, *noted: Tensor) -> list[float]:
    """What the queue holds after a step in which these were noted."""
    for z_PBD in noted:
        queue.enqueue(z_PBD)
    queue.push(step)
    return queue.vectors_KD[:, 0].tolist()


def test_a_new_queue_holds_random_unit_vectors():
    vectors_KD = Queue(PLACES, WIDTH).vectors_KD
    torch.testing.assert_close(vectors_KD.norm(dim=1), torch.ones(PLACES))
    assert len({tuple(vector.tolist()) for vector in vectors_KD}) == PLACES


def test_the_oldest_are_overwritten_in_the_order_in_which_they_came():
    queue = Queue(PLACES, WIDTH)
    assert pushed(queue, 1, rows(0, 2), rows(2, 2))[:4] == [0, 1, 2, 3]
    assert pushed(queue, 2, rows(4, 2)) == [0, 1, 2, 3, 4, 5]
    assert pushed(queue, 3, rows(6, 2)) == [6, 7, 2, 3, 4, 5]


def test_embeddings_in_half_precision_are_kept_in_the_precision_of_the_queue():
    queue = Queue(PLACES, WIDTH)
    assert pushed(queue, 1, rows(1, 2).bfloat16())[:2] == [1, 2]


def test_a_batch_that_does_not_fit_at_the_end_goes_on_at_the_start():
    queue = Queue(PLACES, WIDTH)
    pushed(queue, 1, rows(0, 4))
    assert pushed(queue, 2, rows(4, 4)) == [6, 7, 2, 3, 4, 5]
    assert pushed(queue, 3, rows(8, 3)) == [6, 7, 8, 9, 10, 5]


def test_nothing_enters_before_the_step_is_done_and_nothing_twice():
    queue = Queue(PLACES, WIDTH)
    before = queue.vectors_KD.clone()
    queue.enqueue(rows(0, 2))
    assert torch.equal(queue.vectors_KD, before)
    held = pushed(queue, 1)
    assert held[:2] == [0, 1]
    assert pushed(queue, 2) == held


def test_one_position_of_an_image_enters_another_one_each_step():
    queue = Queue(PLACES, WIDTH)
    assert pushed(queue, 1, rows(0, 2, positions=3))[:2] == [100, 101]
    assert pushed(queue, 2, rows(2, 2, positions=3))[2:4] == [202, 203]
    assert pushed(queue, 3, rows(4, 2, positions=3)) == [100, 101, 202, 203, 4, 5]


def test_what_is_noted_has_no_gradient():
    queue = Queue(PLACES, WIDTH)
    queue.enqueue(rows(0, 2).requires_grad_())
    assert not queue.pending[0].requires_grad


def test_a_queue_goes_on_from_its_state():
    first, second = Queue(PLACES, WIDTH), Queue(PLACES, WIDTH)
    pushed(first, 1, rows(0, 4))
    second.load_state_dict(first.state_dict())
    assert pushed(first, 2, rows(4, 4)) == pushed(second, 2, rows(4, 4))
