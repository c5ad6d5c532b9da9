"""Multi-crop: which crops there are, which network sees them, and how the pairs are put together."""

import pytest
import torch

from tests.every_method import CARRIES, SMALL, VIEW
from tests.whole_in_parts.methods.examples import EXACT, apart, batch, embedded, made, modified, unit
from whole_in_parts.augment.views import Crop, make_batch
from whole_in_parts.config.modifiers.multi_crop import MultiCropConfig
from whole_in_parts.config.runs import Run
from whole_in_parts.config.views import SmallCrops, View
from whole_in_parts.modifiers.multi_crop import MultiCrop

BASES = [method for method, modifier in CARRIES if modifier == "multi_crop"]
TINY = View(crop_scale=(0.05, 0.1))
CROPS = [SmallCrops(count=3, size=6, view=SMALL), SmallCrops(count=2, size=4, view=TINY)]


@pytest.fixture
def make(small):
    """A function that gives a base with multi-crop."""

    def given(base: str, average: bool = False) -> MultiCrop:
        method = made(small, base)
        apart(method)
        return modified(method, MultiCropConfig(name="multi_crop", crops=CROPS, average=average))

    return given


def test_the_crops_are_the_large_views_and_so_many_small_ones_of_each_kind(make):
    expected = [Crop(VIEW, 8)] * 2 + [Crop(SMALL, 6)] * 3 + [Crop(TINY, 4)] * 2
    assert make("byol").crops([VIEW, VIEW], 8) == expected


def test_the_small_crops_are_cut_apart_from_each_other(make, images):
    numbers = torch.arange(40).numpy()
    made_of = make("byol").crops([VIEW, VIEW], 8)
    given = make_batch(images[numbers], torch.zeros(40), made_of, numbers, 0, 0)
    assert [view.shape[-1] for view in given.views] == [8, 8, 6, 6, 6, 4, 4]
    shares = [(boxes_B4[:, 2] * boxes_B4[:, 3] / 64).mean() for boxes_B4 in given.boxes]
    assert min(shares[:2]) > 0.5 > 0.4 > max(shares[2:])
    assert len({tuple(boxes_B4.flatten().tolist()) for boxes_B4 in given.boxes[2:5]}) == 3


def test_byols_loss_is_the_sum_over_both_targets_of_all_other_crops(make):
    """Twice 1 + S terms, as in solo-learn, less its constant 2."""
    method, given = make("byol"), batch(small_crops=3)
    global_ = embedded(method.base, given)
    terms = [
        -2 * (unit(global_.online[view][0]) * unit(global_.target[target][0])).sum(1).mean()
        for target in range(2)
        for view in range(5)
        if view != target
    ]
    assert len(terms) == 2 * (1 + 3)
    torch.testing.assert_close(method(given).losses["global"], sum(terms), **EXACT)


@pytest.mark.parametrize("base", BASES)
def test_the_average_over_the_pairs_is_the_sum_by_how_many_times_as_many_they_are(make, base):
    given, losses = batch(small_crops=3), []
    for average in (False, True):
        method = make(base, average)
        global_ = embedded(method.base, given)
        losses.append(method(given).losses["global"])
    torch.testing.assert_close(losses[0], 4 * losses[1], **EXACT)
    pairs = [(view, target) for target in range(2) for view in range(5) if view != target]
    mean = sum(
        method.base.align(global_.online[view], global_.target[target], method.base.heads) for view, target in pairs
    ) / len(pairs)
    torch.testing.assert_close(losses[1], 2 * mean, **EXACT)


@pytest.mark.parametrize("base", BASES)
def test_without_small_crops_it_is_its_base(make, base):
    method, given = make(base, average=True), batch()
    torch.testing.assert_close(method(given).losses["global"], method.base(given).losses["global"], rtol=0, atol=0)


def test_the_target_sees_the_large_views_once_each_and_the_online_network_every_crop(make):
    method, seen = make("byol"), {"online": [], "target": []}
    for name, sizes in seen.items():
        getattr(method.base.networks, name).register_forward_pre_hook(
            lambda _, inputs, sizes=sizes: sizes.append(inputs[0].shape[-1])
        )
    method(batch(small_crops=3))
    assert seen == {"online": [8, 8, 6, 6, 6], "target": [8, 8]}


def test_a_crop_larger_than_the_image_is_refused_by_the_name_of_the_key(small):
    crops = [{"count": 1, "size": size, "view": SMALL.model_dump()} for size in (8, 9)]
    run = small.runs["byol"].model_dump() | {"modifier": {"name": "multi_crop", "crops": crops, "average": True}}
    with pytest.raises(ValueError, match=r"modifier\.crops\.1\.size: a crop of 9 is larger than the image, of 8"):
        Run.model_validate(run)
