"""DINO's interpolation of the position embedding, against its definition, in double precision."""

import numpy as np
import pytest
import torch

from tests.whole_in_parts.models.backbones.examples import TINY
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.models.position_embedding import interpolate_as_dino, resized


def cubic(x: np.ndarray, a: float = -0.75) -> np.ndarray:
    """Keys' kernel, as torch has it."""
    x = np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


def weights(old: int, new: int) -> np.ndarray:
    """The matrix (new, old) of a bicubic resize whose scale is (new + 0.1) / old, with the border repeated."""
    scale = old / (new + 0.1)
    matrix = np.zeros((new, old))
    for row in range(new):
        centre = (row + 0.5) * scale - 0.5
        for tap in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
            matrix[row, min(max(tap, 0), old - 1)] += cubic(np.array(centre - tap))
    return matrix


@pytest.mark.parametrize(("height", "width"), [(2, 2), (6, 6), (7, 3), (14, 14)])
def test_the_embedding_of_another_grid_is_the_definition(height, width):
    positions = torch.randn(1, 17, 5, dtype=torch.float64)
    found = resized(positions, height, width)
    assert found.shape == (1, 1 + height * width, 5)
    assert torch.equal(found[:, 0], positions[:, 0])
    grid = positions[0, 1:].view(4, 4, 5).numpy()
    expected = np.einsum("hi,wj,ijc->hwc", weights(4, height), weights(4, width), grid)
    torch.testing.assert_close(found[0, 1:].view(height, width, 5), torch.from_numpy(expected), rtol=1e-10, atol=1e-10)


def test_the_embedding_of_its_own_grid_is_unchanged():
    positions = torch.randn(1, 17, 5)
    assert resized(positions, 4, 4) is positions


def test_a_vit_differs_from_that_of_timm_at_another_size_alone():
    theirs = build_backbone(TINY["timm vit"]).eval()
    ours = build_backbone(TINY["timm vit"].model_copy(update={"positions": "dino"})).eval()
    ours.stored.load_state_dict(theirs.stored.state_dict())
    with torch.no_grad():
        ours.stored.pos_embed.normal_()
        theirs.stored.pos_embed.copy_(ours.stored.pos_embed)
        for size, same in ((32, True), (16, False), (48, False)):
            images = torch.rand(2, 3, size, size)
            found, expected = ours(images).global_BD, theirs(images).global_BD
            assert torch.allclose(found, expected, atol=1e-6) == same


@pytest.mark.parametrize("name", ["timm vit without class token"])
def test_a_network_without_such_an_embedding_is_refused(name):
    network = build_backbone(TINY[name]).stored
    with pytest.raises(ValueError, match=r"backbone\.positions: dino needs a ViT"):
        interpolate_as_dino(network)
