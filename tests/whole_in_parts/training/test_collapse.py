import math

import pytest
import torch

from whole_in_parts.training.collapse import COLLAPSED, collapsed, rank, spread

N = 4000


@pytest.mark.parametrize("dimensions", [2, 16, 128])
def test_directions_without_any_order_have_every_rank_and_a_spread_of_one(dimensions):
    z_ND = 7 * torch.randn(N, dimensions)
    assert rank(z_ND) == pytest.approx(dimensions, rel=0.02)
    assert spread(z_ND) == pytest.approx(1, rel=0.02)
    assert not collapsed(spread(z_ND))


@pytest.mark.parametrize("noise", [0.0, 1e-3])
def test_embeddings_that_are_all_the_same_have_a_rank_of_one_and_collapse(noise):
    z_ND = torch.randn(32) + noise * torch.randn(N, 32)
    assert rank(z_ND) == pytest.approx(1, abs=0.1)
    assert spread(z_ND) < 0.01
    assert collapsed(spread(z_ND))


def test_embeddings_on_a_line_through_zero_have_a_rank_of_one_and_do_not_collapse():
    z_ND = torch.randn(N, 1) * torch.randn(1, 32)
    assert rank(z_ND) == pytest.approx(1, abs=0.01)
    assert spread(z_ND) > COLLAPSED


def test_embeddings_of_nothing_at_all_collapse():
    assert rank(torch.zeros(10, 4)) == pytest.approx(1, abs=0.01)
    assert collapsed(spread(torch.zeros(10, 4)))


def test_the_rank_is_that_of_the_paper_for_singular_values_that_are_known():
    values = [4.0, 2.0, 1.0, 1.0]
    shares = [value / sum(values) for value in values]
    z_ND = torch.zeros(6, 4)
    z_ND[range(4), range(4)] = torch.tensor(values)
    assert rank(z_ND) == pytest.approx(math.exp(-sum(share * math.log(share) for share in shares)), rel=1e-4)


def test_no_length_of_the_embeddings_changes_the_spread():
    z_ND = torch.randn(N, 16) + 1
    torch.testing.assert_close(spread(z_ND), spread(z_ND * torch.rand(N, 1)), rtol=1e-3, atol=0)
