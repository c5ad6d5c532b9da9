"""Crops of one fixed scale."""

import pytest
import torch

from tests.every_method import CARRIES
from tests.whole_in_parts.methods.examples import batch, made, modified
from whole_in_parts.augment.views import make_batch
from whole_in_parts.config.modifiers.patches import PatchesConfig
from whole_in_parts.config.runs import Run
from whole_in_parts.config.views import View

BASES = [method for method, modifier in CARRIES if modifier == "patches"]
FIRST = View(crop_scale=(0.08, 1.0), jitter=0.7, hue=0.2, blur=1.0, flip=0.5, ratio=(0.5, 2))
SECOND = View(crop_scale=(0.2, 0.5), solarize=0.2, interpolation="bicubic")


@pytest.mark.parametrize("base", BASES)
def test_every_crop_has_the_fixed_scale_and_ratio_and_is_else_as_the_run_has_it(small, base):
    method = made(small, base)
    patches = modified(method, PatchesConfig(name="patches", scale=0.2, ratio=(1, 1)))
    before, after = (each.crops([FIRST, SECOND], 8) for each in (method, patches))
    for old, new in zip(before, after, strict=True):
        assert (new.recipe.crop_scale, new.recipe.ratio) == ((0.2, 0.2), (1, 1))
        changed = {"crop_scale", "ratio"}
        assert new.recipe.model_dump(exclude=changed) == old.recipe.model_dump(exclude=changed)
        assert (new.size, new.uniform) == (old.size, old.uniform)


@pytest.mark.parametrize("scale", [0.1, 0.25, 0.5])
def test_the_boxes_are_of_that_area_but_for_rounding(small, images, scale):
    options = PatchesConfig(name="patches", scale=scale)
    numbers = torch.arange(50).numpy()
    images_BCHW = torch.nn.functional.interpolate(images[numbers].float(), size=(64, 64)).byte()
    crops = modified(made(small, "vicreg"), options).crops([FIRST, SECOND], 8)
    for boxes_B4 in make_batch(images_BCHW, torch.zeros(50), crops, numbers, 0, 0).boxes:
        sides_B2 = boxes_B4[:, 2:]
        assert ((sides_B2.prod(1) / 64**2 - scale).abs() < 0.03).all()
        assert (sides_B2[:, 1] / sides_B2[:, 0]).min() > 0.7
        assert (sides_B2[:, 1] / sides_B2[:, 0]).max() < 1.45
        assert len(boxes_B4.unique(dim=0)) > 40


@pytest.mark.parametrize("base", ["simclr", "tcr", "vicreg", "byol"])
def test_the_loss_is_that_of_the_base(small, base):
    method, given = made(small, base), batch()
    patches = modified(method, PatchesConfig(name="patches", scale=0.2))
    assert torch.equal(patches(given).losses["global"], method(given).losses["global"])


@pytest.mark.parametrize("scale", [0, 1.5])
def test_a_scale_that_is_no_share_is_refused_by_the_name_of_the_key(small, scale):
    run = small.runs["byol"].model_dump() | {"modifier": {"name": "patches", "scale": scale}}
    with pytest.raises(ValueError, match=r"modifier\.patches\.scale"):
        Run.model_validate(run)
