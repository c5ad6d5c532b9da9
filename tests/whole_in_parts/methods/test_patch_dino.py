"""Patch-wise DINO: its three losses written out token by token, and its centres."""

import pytest
import torch
from torch import Tensor

from tests.every_method import METHODS, SMALL, VIEW
from tests.whole_in_parts.methods.examples import EXACT, IMAGES, apart, made, vectors
from tests.whole_in_parts.models.backbones import examples
from whole_in_parts.augment.matching import PatchGrid, match
from whole_in_parts.augment.views import Batch, make_batch
from whole_in_parts.config.runs import Run
from whole_in_parts.methods.base import build_method
from whole_in_parts.methods.patch_dino import PatchDINO
from whole_in_parts.models.backbone import build_backbone
from whole_in_parts.schedules import Clock

PROTOTYPES = 8
WHOLE, LEFT, RIGHT, CENTRE = (0, 0, 16, 16), (0, 0, 16, 8), (0, 8, 16, 8), (4, 4, 8, 8)


@pytest.fixture
def make(small):
    """A function that gives the method, without batch norm, so that a head can be applied token by token."""

    def given(**changes) -> PatchDINO:
        local = {"count": 1, "size": 6, "view": SMALL}
        sizes = {"local": local, "prototypes": PROTOTYPES}
        method = made(small, "patch_dino", norm=False, centre_momentum=0.9, **sizes, **changes)
        method.heads.centre_P1K.copy_(0.1 * vectors(*method.heads.centre_P1K.shape))
        apart(method)
        return method

    return given


def placed(*boxes: tuple[int, ...], flips: tuple[bool, ...] = (False, False, False)) -> Batch:
    """Two large crops, of 4×4 patches, and a small one, of 3×3, at these places."""
    views = [torch.rand(IMAGES, 1, size, size, dtype=torch.float64) for size in (8, 8, 6)[: len(boxes)]]
    return Batch(
        views,
        [torch.tensor(box).repeat(IMAGES, 1) for box in boxes],
        [torch.full((IMAGES,), flip) for flip in flips[: len(boxes)]],
        torch.zeros(IMAGES, dtype=torch.long),
    )


PLACES = {
    "overlapping": placed(WHOLE, LEFT, CENTRE),
    "mirrored": placed(WHOLE, LEFT, CENTRE, flips=(True, False, True)),
    "apart": placed(LEFT, RIGHT, RIGHT),
}


def matches(batch: Batch, first: int, second: int) -> list[tuple[int, int]]:
    """The tokens of both crops that are compared: the whole, and the patches that are matched."""
    sides = [4, 4, 3]
    crops = [PatchGrid(batch.boxes[n][0].tolist(), bool(batch.flips[n][0]), sides[n]) for n in (first, second)]
    one, other = match(*crops)
    return [(0, 0), *((1 + a, 1 + b) for a, b in zip(one.tolist(), other.tolist(), strict=True))]


def token(network, view_BCSS: Tensor, number: int) -> Tensor:
    """The representation (B, C) of the whole, which is number 0, or of a patch, row by row."""
    seen = network(view_BCSS)
    if number == 0:
        return seen.global_BD
    row, column = divmod(number - 1, seen.local_BCNN.shape[-1])
    return seen.local_BCNN[:, :, row, column]


def entropy(method: PatchDINO, batch: Batch, crops: tuple[int, int], tokens: tuple[int, int]) -> Tensor:
    """H(P_t, P_s) of a token of the teacher's crop and one of the student's, a mean over images."""
    heads, networks = method.heads, method.networks
    x_BC = token(networks.target, batch.views[crops[0]], tokens[0])
    centre_1K = heads.centre_P1K[tokens[0] if len(heads.centre_P1K) > 1 else 0]
    scores_BK = heads.prototypes.target(heads.projector.target(x_BC))
    target_BK = torch.softmax((scores_BK - centre_1K) / 0.07, 1)
    y_BC = token(networks.online, batch.views[crops[1]], tokens[1])
    predicted_BK = torch.softmax(heads.prototypes.online(heads.projector.online(y_BC)) / 0.1, 1)
    return -sum((target_BK[image] * predicted_BK[image].log()).sum() for image in range(IMAGES)) / IMAGES


def pair(method: PatchDINO, batch: Batch, crops: tuple[int, int], form: str) -> Tensor:
    """The loss of a pair of crops, as the paper has it; where no patch is matched, the global term is left."""
    global_, *patches = [entropy(method, batch, crops, tokens) for tokens in matches(batch, *crops)]
    if form == "sum":
        return global_ + sum(patches)
    if form == "mean":
        return (global_ + sum(patches)) / (1 + len(patches))
    return 0.3 * global_ + (0.7 * sum(patches) / len(patches) if patches else 0)


@pytest.mark.parametrize("centre", ["position", "shared"])
@pytest.mark.parametrize("form", ["mean", "sum", "lambda"])
@pytest.mark.parametrize("places", PLACES)
def test_the_loss_is_the_mean_over_the_pairs_of_crops_of_what_is_matched(make, places, form, centre):
    method, batch = make(loss=form, global_weight=0.3, centre=centre), PLACES[places]
    pairs = [(0, 1), (0, 2), (1, 0), (1, 2)]
    expected = sum(pair(method, batch, crops, form) for crops in pairs) / len(pairs)
    torch.testing.assert_close(method(batch).losses["global_and_patches"], expected, **EXACT)


def test_the_places_have_matches_where_they_should():
    assert [len(matches(PLACES["overlapping"], *crops)) for crops in ((0, 1), (0, 2), (1, 2))] == [9, 5, 5]
    assert matches(PLACES["apart"], 0, 1) == matches(PLACES["apart"], 0, 2) == [(0, 0)]
    assert len(matches(PLACES["apart"], 1, 2)) == 10
    assert matches(PLACES["mirrored"], 0, 1)[1] == (1 + 3, 1 + 0)


@pytest.mark.parametrize("flip", [False, True])
def test_crops_of_one_place_match_each_patch_with_itself(make, flip):
    method, batch = make(loss="sum"), placed(CENTRE, CENTRE, flips=(flip, flip, False))
    batch = batch._replace(views=[batch.views[0]] * 2)
    assert sorted(matches(batch, 0, 1)) == [(number, number) for number in range(17)]
    expected = sum(entropy(method, batch, (0, 1), (number, number)) for number in range(17))
    torch.testing.assert_close(method(batch).losses["global_and_patches"], expected, **EXACT)


def test_there_is_a_centre_for_each_token_and_each_moves_with_its_own(make):
    method, batch = make(), PLACES["overlapping"]
    before, heads = method.heads.centre_P1K.clone(), method.heads
    assert before.shape == (17, 1, PROTOTYPES)
    method(batch)
    assert torch.equal(heads.centre_P1K, before)
    with torch.no_grad():
        rows = [
            heads.prototypes.target(heads.projector.target(token(method.networks.target, view, number)))
            for number in range(17)
            for view in batch.views[:2]
        ]
    moved = torch.stack([torch.cat(rows[2 * number : 2 * number + 2]).mean(0) for number in range(17)])
    method.update(Clock(1, 60, 5))
    torch.testing.assert_close(heads.centre_P1K[:, 0], 0.9 * before[:, 0] + 0.1 * moved, **EXACT)


def test_a_shared_centre_is_one_for_whole_and_patches(make):
    method = make(centre="shared")
    assert method.heads.centre_P1K.shape == (1, 1, PROTOTYPES)


def test_neither_teacher_nor_centre_has_a_gradient_and_the_teacher_is_kept(make):
    method = make()
    method(PLACES["overlapping"]).losses["global_and_patches"].backward()
    assert method.backbone is method.networks.target
    for name, parameter in method.named_parameters():
        assert (parameter.grad is None) == (".target." in name)


def test_the_crops_share_their_geometry_and_not_their_colours(small, images):
    local = {"count": 3, "size": 6, "view": SMALL}
    method = made(small, "patch_dino", local=local)
    crops = method.crops([VIEW, VIEW], 8)
    assert [(crop.size, crop.uniform) for crop in crops] == [(8, True)] * 2 + [(6, True)] * 3
    assert [crop.recipe for crop in crops] == [VIEW, VIEW, SMALL, SMALL, SMALL]
    numbers = torch.arange(5).numpy()
    batch = make_batch(images[numbers], torch.zeros(5, dtype=torch.long), crops, numbers, 0, 0)
    assert all((boxes_B4 == boxes_B4[0]).all() for boxes_B4 in batch.boxes)
    assert len({tuple(boxes_B4[0].tolist()) for boxes_B4 in batch.boxes}) == 5


def test_a_backbone_whose_wholes_and_patches_are_of_two_widths_is_refused(small):
    alexnet = build_backbone(examples.alexnet(image_size=16, width=8, features=20))
    with pytest.raises(ValueError, match=r"backbone: patch_dino takes one .* these are of \d+ and 20"):
        build_method(METHODS["patch_dino"], alexnet, 10, 16)


def test_a_crop_larger_than_the_image_is_refused_by_the_name_of_the_key(small):
    options = METHODS["patch_dino"].model_dump()
    run = small.runs["byol"].model_dump() | {"method": options | {"local": options["local"] | {"size": 9}}}
    with pytest.raises(ValueError, match=r"method\.local\.size: a crop of 9 is larger than the image, of 8"):
        Run.model_validate(run)
