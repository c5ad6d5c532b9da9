"""What `align` says of embeddings at several positions, of every base that can carry CO."""

import pytest
import torch
from torch import Tensor

from tests.every_method import CO_BASES
from tests.whole_in_parts.methods.examples import EXACT, batch, both_ways, embedded, made, unit, vectors

POSITIONS, IMAGES = 4, 5


def embeddings(method, positions: int) -> tuple[Tensor, Tensor]:
    """Online and target embeddings (P, B, D) as the method's heads give them: some are scores and distributions."""
    if hasattr(method.options, "prototypes"):
        width = method.options.prototypes
        scores_PBK = unit(vectors(positions, IMAGES, 16)) @ unit(vectors(width, 16)).T
        return scores_PBK, torch.softmax(vectors(positions, IMAGES, width), -1)
    return vectors(positions, IMAGES, 16), unit(vectors(positions, IMAGES, 16))


@pytest.mark.parametrize("name", CO_BASES)
@pytest.mark.parametrize(("online", "target"), [(POSITIONS, 1), (1, POSITIONS), (POSITIONS, POSITIONS)])
def test_align_is_the_mean_of_what_it_says_of_each_position(small, name, online, target):
    method = made(small, name)
    online_PBD, target_PBD = embeddings(method, online)[0], embeddings(method, target)[1]
    values = [
        method.align(online_PBD[[position % online]], target_PBD[[position % target]], method.heads)
        for position in range(POSITIONS)
    ]
    assert len({round(float(value), 9) for value in values}) == POSITIONS
    ours = method.align(online_PBD, target_PBD, method.heads)
    torch.testing.assert_close(ours, sum(values) / POSITIONS, **EXACT)


@pytest.mark.parametrize("name", CO_BASES)
def test_the_loss_of_two_views_is_the_sum_of_align_over_both_directions(small, name):
    method, given = made(small, name), batch()
    torch.testing.assert_close(method(given).losses["global"], both_ways(method, embedded(method, given)), **EXACT)


@pytest.mark.parametrize("name", CO_BASES)
def test_each_target_is_aligned_with_each_other_view(small, name):
    method = made(small, name)
    assert sorted(method.pairs(2)) == [(0, 1), (1, 0)]
    assert sorted(method.pairs(4)) == [(0, 1), (1, 0), (2, 0), (2, 1), (3, 0), (3, 1)]
    assert method.pair_ratio(4) == 3
