"""MoCo v2 against lightly's NT-Xent with a memory bank, and its queue against what each step lets in.

Lightly lets the keys in while it computes the loss, so that the second direction has the first one's keys among its
negatives, and drops what does not fit at the end of its bank; here they enter when the step is done, and go round.
"""

import pytest
import torch
from lightly.loss import NTXentLoss
from torch import Tensor

from tests.every_method import METHODS
from tests.whole_in_parts.methods.examples import (
    EXACT,
    IMAGES,
    apart,
    batch,
    embedded,
    made,
    modified,
    shapes,
    unit,
    vectors,
)
from whole_in_parts.config.modifiers.co import COConfig
from whole_in_parts.config.runs import Run
from whole_in_parts.schedules import Clock

TEMPERATURE, PLACES, WIDTH = 0.2, 24, 16


@pytest.fixture
def moco(small):
    return made(small, "moco_v2", temperature=TEMPERATURE, queue=PLACES)


@pytest.fixture
def one_way(small):
    return made(small, "moco_v2", temperature=TEMPERATURE, queue=PLACES, symmetric=False)


def of_lightly(query_BD: Tensor, key_BD: Tensor, queue_KD: Tensor) -> Tensor:
    criterion = NTXentLoss(TEMPERATURE, memory_bank_size=tuple(queue_KD.shape))
    criterion.memory_bank.bank = queue_KD.clone()
    return criterion(query_BD, key_BD)


def test_both_directions_are_a_mean_of_that_of_lightly(moco):
    apart(moco)
    given = batch()
    global_ = embedded(moco, given)
    queue_KD = moco.heads.queue.vectors_KD
    expected = [of_lightly(global_.online[n][0], global_.target[1 - n][0], queue_KD) for n in (0, 1)]
    torch.testing.assert_close(moco(given).losses["global"], sum(expected) / 2, **EXACT)


def test_one_direction_is_that_of_the_first_view_to_the_key_of_the_second(one_way):
    apart(one_way)
    given = batch()
    global_ = embedded(one_way, given)
    expected = of_lightly(global_.online[0][0], global_.target[1][0], one_way.heads.queue.vectors_KD)
    torch.testing.assert_close(one_way(given).losses["global"], expected, **EXACT)


def test_a_query_has_its_own_key_and_the_queue_and_no_key_of_its_batch(one_way):
    query_BD, key_BD, queue_KD = vectors(5, WIDTH), unit(vectors(5, WIDTH)), one_way.heads.queue.vectors_KD
    terms = []
    for image in range(5):
        query_D = unit(query_BD)[image]
        scores = torch.stack([query_D @ key_BD[image], *(query_D @ wrong_D for wrong_D in queue_KD)])
        terms.append(-torch.log_softmax(scores / TEMPERATURE, 0)[0])
    ours = one_way.align(query_BD[None], key_BD[None], one_way.heads)
    torch.testing.assert_close(ours, torch.stack(terms).mean(), **EXACT)


def test_neither_keys_nor_queue_have_a_gradient(moco):
    global_ = embedded(moco, batch())
    assert not any(key_PBD.requires_grad for key_PBD in global_.target)
    assert not moco.heads.queue.vectors_KD.requires_grad
    for key_PBD in global_.target:
        torch.testing.assert_close(key_PBD.norm(dim=-1), torch.ones(1, IMAGES, dtype=torch.float64))


def test_the_keys_of_a_step_enter_when_it_is_done_those_of_the_first_view_first(moco):
    before = moco.heads.queue.vectors_KD.clone()
    given = batch()
    moco(given)
    assert torch.equal(moco.heads.queue.vectors_KD, before)
    keys = moco.heads.queue.pending
    expected = torch.cat([keys[0][0], keys[1][0], before[2 * IMAGES :]])
    moco.update(Clock(1, 4, 4))
    assert torch.equal(moco.heads.queue.vectors_KD, expected)


def test_in_one_direction_only_the_keys_that_are_compared_enter(one_way):
    before, given = one_way.heads.queue.vectors_KD.clone(), batch()
    second_BD = embedded(one_way, given).target[1][0]
    one_way.update(Clock(1, 4, 4))
    assert torch.equal(one_way.heads.queue.vectors_KD, torch.cat([second_BD, before[IMAGES:]]))


def test_in_one_direction_small_crops_are_compared_with_both_keys(one_way):
    assert one_way.pairs(2) == [(0, 1)]
    assert set(one_way.pairs(3)) == {(0, 1), (2, 0), (2, 1)}
    assert one_way.pair_ratio(3) == 3


def test_the_projector_has_no_batch_norm(moco):
    assert shapes(moco.heads.projector.online) == {
        "0.weight": (32, 32),
        "0.bias": (32,),
        "2.weight": (WIDTH, 32),
        "2.bias": (WIDTH,),
    }


def test_under_co_the_negatives_are_of_the_kind_of_the_key_and_one_position_an_image_enters(moco):
    co = modified(moco, COConfig(name="co", weight=1.0))
    given = batch()
    encoded = moco.encode(given.views)
    global_, local = moco.embed_global(encoded), co.embed_local(encoded)
    queues = [heads.queue.vectors_KD.clone() for heads in (moco.heads, co.local_heads)]
    assert not torch.equal(*queues)
    to_whole = [of_lightly(query_BD, global_.target[1][0], queues[0]) for query_BD in local.online[0]]
    to_local = [of_lightly(global_.online[0][0], key_BD, queues[1]) for key_BD in local.target[1]]
    expected = (sum(to_whole) / 16 + sum(to_local) / 16) / 2
    torch.testing.assert_close(co.local_loss(0, 1, global_, local), expected, **EXACT)
    co.update(Clock(5, 16, 4))
    for queue, before, keys in (
        (moco.heads.queue, queues[0], [key_PBD[0] for key_PBD in global_.target]),
        (co.local_heads.queue, queues[1], [key_PBD[5] for key_PBD in local.target]),
    ):
        assert torch.equal(queue.vectors_KD, torch.cat([*keys, before[2 * IMAGES :]]))


def test_under_co_one_direction_stays_one(one_way):
    co = modified(one_way, COConfig(name="co", weight=0.5))
    given = batch()
    losses = co(given).losses
    assert [len(heads.queue.pending) for heads in (one_way.heads, co.local_heads)] == [1, 1]
    encoded = one_way.encode(given.views)
    expected = co.local_loss(0, 1, one_way.embed_global(encoded), co.embed_local(encoded))
    torch.testing.assert_close(losses["local"], 0.5 * expected, **EXACT)


@pytest.mark.parametrize("queue", [100, 64])
def test_a_queue_that_whole_batches_do_not_fill_is_refused(small, queue):
    run = small.runs["byol"].model_dump() | {"method": METHODS["moco_v2"].model_dump() | {"queue": queue}}
    with pytest.raises(
        ValueError, match=rf"method\.queue: {queue} is not divisible by 128, the embeddings that enter it"
    ):
        Run.model_validate(run)
