"""InfoNCE, written out; mutual information cannot be more than the logarithm of the candidates."""

import math

import pytest
import torch
from torch import Tensor

from tests.whole_in_parts.methods.examples import EXACT, unit, vectors
from whole_in_parts.methods.info_nce import info_nce

TEMPERATURE, IMAGES = 0.3, 5


def naive(query_BD: Tensor, key_BD: Tensor, among_BD: Tensor | None) -> Tensor:
    query_BD, key_BD, terms = unit(query_BD), unit(key_BD), []
    for image in range(IMAGES):
        candidates = [query_BD[image] @ key_BD[other] for other in range(IMAGES)]
        if among_BD is not None:
            candidates += [query_BD[image] @ unit(among_BD)[other] for other in range(IMAGES) if other != image]
        scores = torch.stack(candidates) / TEMPERATURE
        terms.append(torch.logsumexp(scores, 0) - scores[image])
    return sum(terms) / IMAGES


@pytest.mark.parametrize("with_queries", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (4, 1), (1, 4), (4, 4)])
def test_the_candidates_are_the_keys_at_the_position_and_the_other_images_queries_there(queries, keys, with_queries):
    query_PBD, key_PBD = vectors(queries, IMAGES, 8), vectors(keys, IMAGES, 8)
    expected = []
    for position in range(max(queries, keys)):
        query_BD, key_BD = query_PBD[min(position, queries - 1)], key_PBD[min(position, keys - 1)]
        expected.append(naive(query_BD, key_BD, query_BD if with_queries else None))
    ours = info_nce(query_PBD, key_PBD, TEMPERATURE, query_PBD if with_queries else None)
    torch.testing.assert_close(ours, sum(expected) / len(expected), **EXACT)


@pytest.mark.parametrize(("with_queries", "candidates"), [(False, IMAGES), (True, 2 * IMAGES - 1)])
def test_of_vectors_that_are_all_alike_the_loss_is_the_logarithm_of_the_candidates(with_queries, candidates):
    z_1BD = torch.ones(1, IMAGES, 8, dtype=torch.float64)
    loss = info_nce(z_1BD, z_1BD, TEMPERATURE, z_1BD if with_queries else None)
    assert float(loss) == pytest.approx(math.log(candidates), rel=1e-12)


def test_the_lengths_of_the_vectors_do_not_matter():
    query_1BD, key_1BD = vectors(1, IMAGES, 8), vectors(1, IMAGES, 8)
    lengths_1B1 = torch.rand(1, IMAGES, 1, dtype=torch.float64) + 0.5
    ours = info_nce(lengths_1B1 * query_1BD, 3 * key_1BD, TEMPERATURE, lengths_1B1 * query_1BD)
    torch.testing.assert_close(ours, info_nce(query_1BD, key_1BD, TEMPERATURE, query_1BD), **EXACT)
