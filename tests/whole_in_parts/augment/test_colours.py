"""Changes of colour against torchvision, and blur against scipy."""

import itertools

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter1d
from scipy.stats import chisquare, ks_2samp
from torch import Tensor
from torchvision.transforms import ColorJitter
from torchvision.transforms.v2 import functional as tv

from tests.whole_in_parts.augment.pictures import BATCH, SIZE, SPREAD, drawn, equal, random_images
from whole_in_parts.augment.colours import augment_colours
from whole_in_parts.augment.views import draws
from whole_in_parts.config.views import View

NOTHING = {"jitter": 0, "brightness": 0, "contrast": 0, "saturation": 0, "hue": 0, "greyscale": 0}

JITTER = {
    "brightness": (tv.adjust_brightness, 0.4, 1),
    "contrast": (tv.adjust_contrast, 0.4, 1),
    "saturation": (tv.adjust_saturation, 0.9, 1),
    "hue": (tv.adjust_hue, 0.5, 0),
}
STRENGTHS = {name: strength for name, (_, strength, _) in JITTER.items()}
ORDERS = list(itertools.permutations(range(4)))


def recipe(**options) -> View:
    """A recipe that changes what the options say and nothing else."""
    return View(crop_scale=(1, 1), **(NOTHING | options))


def changed(images_BCHW: Tensor, options: dict, **given) -> Tensor:
    return augment_colours(images_BCHW.float() / 255, recipe(**options), drawn(**given))


def jittered_by_torchvision(x_BCHW: Tensor, order: tuple[int, ...], value: float) -> Tensor:
    for adjust, strength, centre in (list(JITTER.values())[number] for number in order):
        x_BCHW = adjust(x_BCHW, centre + strength * (2 * value - 1))
    return x_BCHW


@pytest.mark.parametrize("name", JITTER)
def test_jitter_equals_torchvision_adjust(name):
    adjust, strength, centre = JITTER[name]
    images_BCHW = random_images()
    ours_BCHW = changed(images_BCHW, {"jitter": 1, name: strength}, **{name: SPREAD})
    for ours_CHW, image_CHW, value in zip(ours_BCHW, images_BCHW.float() / 255, SPREAD.tolist(), strict=True):
        equal(ours_CHW, adjust(image_CHW, centre + strength * (2 * value - 1)))


@pytest.mark.parametrize("name", ["brightness", "contrast"])
def test_jitter_of_grey_images_equals_torchvision_adjust(name):
    adjust, strength, centre = JITTER[name]
    images_BCHW = random_images(channels=1)
    ours_BCHW = changed(images_BCHW, {"jitter": 1, name: strength, "saturation": 0.5, "hue": 0.5}, **{name: SPREAD})
    for ours_CHW, image_CHW, value in zip(ours_BCHW, images_BCHW.float() / 255, SPREAD.tolist(), strict=True):
        equal(ours_CHW, adjust(image_CHW, centre + strength * (2 * value - 1)))


def test_hue_equals_torchvision_adjust_for_every_kind_of_colour():
    """All colours of seven levels a channel: each channel is the largest, the least, or a tie, of each hue."""
    levels = torch.linspace(0, 1, 7)
    colours_CHW = torch.stack(torch.meshgrid(levels, levels, levels, indexing="ij")).reshape(3, 7, 49)
    ours_BCHW = augment_colours(colours_CHW.repeat(BATCH, 1, 1, 1), recipe(jitter=1, hue=0.5), drawn(hue=SPREAD))
    for ours_CHW, value in zip(ours_BCHW, SPREAD.tolist(), strict=True):
        equal(ours_CHW, tv.adjust_hue(colours_CHW, value - 0.5))


@pytest.mark.parametrize("share", [0.6, 1.0], ids=["some", "all"])
def test_jitter_applies_its_operations_in_the_order_that_is_drawn_for_each_image(share):
    images_BCHW, orders = random_images(), ORDERS[::2]
    drawn_order = torch.tensor(orders).argsort(1).T / 4
    chosen = {"jitter": SPREAD, "jitter_order": drawn_order}
    ours_BCHW = changed(images_BCHW, {"jitter": share} | STRENGTHS, **chosen, **dict.fromkeys(JITTER, 0.7))
    for ours_CHW, x_CHW, order, value in zip(ours_BCHW, images_BCHW.float() / 255, orders, SPREAD, strict=True):
        equal(ours_CHW, jittered_by_torchvision(x_CHW, order, 0.7) if value < share else x_CHW)


def test_all_orders_of_the_jitter_are_drawn_equally_often():
    number = 1200
    colours_BCHW = torch.rand(1, 3, 2, 2, generator=torch.Generator().manual_seed(0)).repeat(number, 1, 1, 1)
    draw = draws(np.arange(number), 0, 0, 0)
    ours_BCHW = augment_colours(
        colours_BCHW.clone(),
        recipe(jitter=1, **STRENGTHS),
        lambda name, times=1: draw(name, times) if name == "jitter_order" else torch.full((number,), 0.7),
    )
    theirs_OCHW = torch.stack([jittered_by_torchvision(colours_BCHW[0], order, 0.7) for order in ORDERS])
    distance_BO = (ours_BCHW[:, None] - theirs_OCHW).abs().amax((2, 3, 4))
    assert ((distance_BO < 1e-5).sum(1) == 1).all()
    assert chisquare(distance_BO.argmin(1).bincount(minlength=24).numpy()).pvalue > 0.01


@pytest.mark.parametrize(
    ("name", "colour", "measure"),
    [
        ("brightness", [[0.3], [0.3], [0.3]], lambda x_BCW: x_BCW[:, 0, 0] / 0.3),
        ("contrast", [[0.4, 0.6]] * 3, lambda x_BCW: (x_BCW[:, 0, 1] - x_BCW[:, 0, 0]) / 0.2),
        ("saturation", [[0.6], [0.5], [0.4]], lambda x_BCW: (x_BCW[:, 0, 0] - x_BCW[:, 2, 0]) / 0.2),
        ("hue", [[0.8], [0.2], [0.2]], lambda x_BCW: (x_BCW[:, 1, 0] - x_BCW[:, 2, 0]) / 3.6),
    ],
)
def test_changes_are_distributed_as_those_of_torchvision(name, colour, measure):
    """The change is read from a colour that is far from where it would be cut off."""
    number, strength = 3000, {name: 0.1 if name == "hue" else 0.4}
    x_BCHW = torch.tensor(colour)[None, :, None].repeat(number, 1, 1, 1)
    ours_BCHW = augment_colours(x_BCHW, recipe(jitter=1, **strength), draws(np.arange(number), 0, 0, 0))
    jitter = ColorJitter(**strength)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        theirs = [
            jitter.get_params(jitter.brightness, jitter.contrast, jitter.saturation, jitter.hue) for _ in range(number)
        ]
    factors = [parameters[1 + list(JITTER).index(name)] for parameters in theirs]
    assert ks_2samp(measure(ours_BCHW[:, :, 0]).numpy(), np.array(factors)).pvalue > 0.01


CHANCES = {
    "jitter": ({"brightness": 0.4}, {"brightness": 1.0}, lambda x: tv.adjust_brightness(x, 1.4)),
    "greyscale": ({}, {}, lambda x: tv.rgb_to_grayscale(x, 3)),
    "solarize": ({}, {}, lambda x: tv.solarize(x, 0.5)),
}


@pytest.mark.parametrize("share", [0.001, 0.6, 1.0], ids=["none", "some", "all"])
@pytest.mark.parametrize("name", CHANCES)
def test_an_operation_equals_torchvision_on_the_images_that_are_drawn_for_it_and_leaves_the_others(name, share):
    options, given, reference = CHANCES[name]
    images_BCHW = random_images()
    ours_BCHW = changed(images_BCHW, {name: share} | options, **given, **{name: SPREAD})
    images_BCHW = images_BCHW.float() / 255
    chosen_B111 = SPREAD.lt(share)[:, None, None, None]
    equal(ours_BCHW, torch.where(chosen_B111, reference(images_BCHW), images_BCHW))


def test_solarize_cuts_between_the_grey_levels_127_and_128():
    levels_BCHW = torch.tensor([127, 128]).repeat(BATCH, 3, 1, 1)
    ours_BCHW = changed(levels_BCHW, {"solarize": 1})
    equal(ours_BCHW, tv.solarize(levels_BCHW.to(torch.uint8), 128).float() / 255)


@pytest.mark.parametrize("share", [0.6, 1.0], ids=["some", "all"])
def test_blur_equals_scipy_gaussian_filter_away_from_the_borders(share):
    images_BCHW, margin = random_images(height=32, width=32), 14
    ours_BCHW = changed(images_BCHW, {"blur": share}, blur=SPREAD, blur_sigma=SPREAD)
    for ours_CHW, image_CHW, value in zip(ours_BCHW, images_BCHW.float() / 255, SPREAD.tolist(), strict=True):
        theirs_CHW = image_CHW.numpy()
        if value < share:
            for axis in (1, 2):
                theirs_CHW = gaussian_filter1d(theirs_CHW, 0.1 + 1.9 * value, axis, truncate=7)
        equal(ours_CHW[:, margin:-margin, margin:-margin], torch.tensor(theirs_CHW[:, margin:-margin, margin:-margin]))


def test_blur_keeps_a_plain_image_plain_up_to_its_borders():
    plain_BCHW = torch.full((BATCH, 3, SIZE, SIZE), 255, dtype=torch.uint8)
    equal(changed(plain_BCHW, {"blur": 1}, blur_sigma=SPREAD), torch.ones(BATCH, 3, SIZE, SIZE))


@pytest.mark.parametrize("greyscale", [0.5, 1.0])
def test_a_grey_image_can_be_blurred_and_solarized(greyscale):
    images_BCHW = random_images()
    options = {"greyscale": greyscale, "blur": 0.5, "solarize": 0.5}
    ours_BCHW = changed(images_BCHW, options, greyscale=SPREAD, blur=0.9, solarize=SPREAD)
    grey_BCHW = torch.where(
        SPREAD.lt(greyscale)[:, None, None, None], tv.rgb_to_grayscale(images_BCHW / 255, 3), images_BCHW / 255
    )
    equal(ours_BCHW, torch.where(SPREAD.lt(0.5)[:, None, None, None], tv.solarize(grey_BCHW, 0.5), grey_BCHW))
