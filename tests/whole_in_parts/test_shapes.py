"""Shapes in signatures are checked while the tests run."""

import pytest
import torch
from jaxtyping import TypeCheckError

from whole_in_parts.methods.info_nce import info_nce
from whole_in_parts.models.heads import apply_per_position


def test_two_sizes_of_one_name_are_refused():
    with pytest.raises(TypeCheckError):
        info_nce(torch.rand(1, 4, 8), torch.rand(1, 5, 8), 0.1)


def test_a_tensor_without_positions_is_refused():
    with pytest.raises(TypeCheckError):
        apply_per_position(torch.nn.Identity(), torch.rand(4, 8))
