"""AMDIM against its formula, written out image by image and position by position."""

import math

import pytest
import torch
from torch import Tensor

from tests.every_method import METHODS
from tests.whole_in_parts.methods.examples import EXACT, batch, made, vectors
from whole_in_parts.methods.amdim import PENALTY, Embedding, nce_loss
from whole_in_parts.methods.base import build_method
from whole_in_parts.models.backbone import build_backbone

LAYERS, SIDES = (2, 3), (3, 2)


@pytest.fixture
def amdim(small):
    return made(small, "amdim", layers=LAYERS, sides=SIDES)


def naive(source_BD: Tensor, parts_PBD: Tensor) -> tuple[float, float]:
    """The mean over images and positions of −log e^s⁺ / (e^s⁺ + Σ e^s⁻), and the mean squared score before the clip.

    s is the dot product by √D, clipped to 20 tanh(s / 20); s⁻ are those of all positions of all other images.
    """
    (positions, images, width), terms, squares = parts_PBD.shape, [], []

    def score(image: int, position: int, other: int) -> float:
        return float(source_BD[image] @ parts_PBD[position, other]) / math.sqrt(width)

    def clipped(raw: float) -> float:
        return 20 * math.tanh(raw / 20)

    for image in range(images):
        others = [other for other in range(images) if other != image]
        wrong = sum(math.exp(clipped(score(image, p, other))) for p in range(positions) for other in others)
        for position in range(positions):
            right = clipped(score(image, position, image))
            terms.append(math.log(math.exp(right) + wrong) - right)
            squares += [score(image, position, other) ** 2 for other in range(images)]
    return sum(terms) / len(terms), sum(squares) / len(squares)


@pytest.mark.parametrize("size", [1.0, 5.0], ids=["small scores", "clipped scores"])
@pytest.mark.parametrize("positions", [1, 9])
def test_each_part_of_an_image_is_told_from_all_parts_of_the_others_and_from_none_of_its_own(positions, size):
    source_1BD, parts_PBD = size * vectors(1, 5, 16), size * vectors(positions, 5, 16)
    loss, square = nce_loss(source_1BD, parts_PBD)
    expected = naive(source_1BD[0], parts_PBD)
    assert (float(loss), float(square)) == pytest.approx(expected, rel=1e-10)


def test_an_image_whose_scores_are_all_one_is_one_among_the_parts_of_the_others_and_one():
    loss, square = nce_loss(torch.zeros(1, 5, 16), torch.zeros(9, 5, 16))
    assert float(loss) == pytest.approx(math.log(1 + 9 * 4))
    assert float(square) == 0


def test_one_direction_has_three_terms_whole_to_deep_whole_to_shallow_and_deep_to_deep(amdim, monkeypatch):
    one, other = (Embedding(vectors(1, 5, 16), vectors(9, 5, 16), vectors(4, 5, 16)) for _ in range(2))
    places = torch.tensor([3, 0, 2, 2, 1])
    monkeypatch.setattr(torch, "randint", lambda high, size, **options: places)
    position_BD = torch.stack([one.deep[place, image] for image, place in enumerate(places)])
    pairs = [(one.global_[0], other.deep), (one.global_[0], other.shallow), (position_BD, other.deep)]
    terms = [naive(*pair) for pair in pairs]
    contrast, penalty = amdim.direction(one, other)
    assert float(contrast) == pytest.approx(sum(term[0] for term in terms), rel=1e-10)
    assert float(penalty) == pytest.approx(5e-2 * sum(term[1] for term in terms), rel=1e-10)
    assert PENALTY == 5e-2


def test_the_loss_is_the_mean_of_both_directions(amdim):
    given = batch()
    torch.manual_seed(1)
    losses = amdim(given).losses
    torch.manual_seed(1)
    first, second = (amdim.embed(amdim.backbone(view)) for view in given.views)
    directions = [amdim.direction(first, second), amdim.direction(second, first)]
    for number, name in enumerate(("contrast", "penalty")):
        torch.testing.assert_close(losses[name], (directions[0][number] + directions[1][number]) / 2, **EXACT)


def test_the_parts_are_the_maps_of_the_layers_at_their_sides(amdim):
    view = amdim.backbone(batch().views[0])
    parts = amdim.embed(view)
    assert [tuple(part.shape) for part in parts] == [(1, 6, 16), (9, 6, 16), (4, 6, 16)]
    embedded_ND = amdim.heads["deep"](
        torch.cat([view.maps[2][:, :, y : y + 2, x : x + 2].mean((2, 3)) for y in (0, 2) for x in (0, 2)])
    )
    torch.testing.assert_close(parts.deep.flatten(0, 1), embedded_ND, **EXACT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": (2, 4)}, r"method\.layers: the backbone has the maps 1 to 3, and no 4"),
        ({"sides": (3, 5)}, r"method\.sides: 5 is larger than map 3, which is 4 wide"),
        ({"sides": (9, 2), "layers": (1, 3)}, r"method\.sides: 9 is larger than map 1, which is 8 wide"),
    ],
)
def test_a_map_that_the_backbone_has_not_is_refused_by_the_name_of_the_key(small, changes, message):
    options = METHODS["amdim"].model_copy(update=changes)
    with pytest.raises(ValueError, match=message):
        build_method(options, build_backbone(small.runs["byol"].backbone), 10, 8)
