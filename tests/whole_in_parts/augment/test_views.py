"""Views of a batch: their boxes against torchvision's, and what each view depends on."""

import numpy as np
import pytest
import torch
from scipy.stats import ks_2samp
from torch import Tensor
from torchvision.transforms.v2 import RandomResizedCrop

from tests.whole_in_parts.augment.pictures import BATCH, SAMPLES, SIZE, equal, random_images
from whole_in_parts.augment import views
from whole_in_parts.augment.views import Batch, Crop, crop_boxes, draws, make_batch
from whole_in_parts.config.views import View

LABELS = torch.arange(BATCH)
FULL = View(crop_scale=(0.2, 1), blur=0.5, solarize=0.3)
CROPS = [Crop(FULL, SIZE), Crop(FULL, SIZE), Crop(FULL, 8, uniform=True), Crop(FULL, SIZE, uniform=True)]
ONLY_CROP = {"jitter": 0, "greyscale": 0}


def made(images_BCHW: Tensor, samples: np.ndarray = SAMPLES, crops=CROPS, seed: int = 3, step: int = 9) -> Batch:
    return make_batch(images_BCHW, LABELS[samples], crops, samples, seed, step)


def boxes_of_torchvision(height: int, width: int, number: int, recipe: View) -> np.ndarray:
    """Boxes (N, 4) of top, left, height, width."""
    transform, image_CHW = RandomResizedCrop(8, recipe.crop_scale, recipe.ratio), torch.zeros(1, height, width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        boxes = [transform.make_params([image_CHW]) for _ in range(number)]
    return np.array([[box[side] for side in ("top", "left", "height", "width")] for box in boxes])


def our_boxes(height: int, width: int, number: int, recipe: View) -> np.ndarray:
    return crop_boxes((height, width), recipe, draws(np.arange(number), 0, 0, 0)).double().numpy()


def assert_same_distribution(ours_N4: np.ndarray, theirs_N4: np.ndarray) -> None:
    """By area, ratio and centre."""
    for quantity in (
        lambda box: box[2] * box[3],
        lambda box: box[3] / box[2],
        lambda box: box[0] + box[2] / 2,
        lambda box: box[1] + box[3] / 2,
    ):
        assert ks_2samp(quantity(ours_N4.T), quantity(theirs_N4.T)).pvalue > 0.01


@pytest.mark.parametrize("ratio", [(3 / 4, 4 / 3), (1, 1), (0.3, 0.9)], ids=["usual", "square", "upright"])
@pytest.mark.parametrize(("height", "width"), [(32, 32), (40, 28)])
@pytest.mark.parametrize("scale", [(0.2, 1.0), (0.05, 0.14)], ids=["large", "small"])
def test_crop_boxes_are_distributed_as_those_of_torchvision(height, width, scale, ratio):
    recipe = View(crop_scale=scale, ratio=ratio)
    assert_same_distribution(our_boxes(height, width, 3000, recipe), boxes_of_torchvision(height, width, 3000, recipe))


@pytest.mark.parametrize("ratio", [(3 / 4, 4 / 3), (1, 1), (0.3, 0.4)], ids=["usual", "square", "upright"])
@pytest.mark.parametrize(("height", "width"), [(20, 90), (90, 20), (21, 90), (91, 20)])
def test_where_no_box_fits_it_is_the_central_one_of_torchvision(height, width, ratio):
    recipe = View(crop_scale=(1, 1), ratio=ratio)
    assert (our_boxes(height, width, 5, recipe) == boxes_of_torchvision(height, width, 5, recipe)).all()


@pytest.mark.parametrize("options", [{"crop_scale": (1e-6, 1e-6)}, {"crop_scale": (0.1, 1), "ratio": (50, 60)}])
def test_a_box_always_has_pixels_of_the_image(options):
    top_B, left_B, height_B, width_B = crop_boxes((7, 3), View(**options), draws(SAMPLES, 0, 0, 0)).T
    assert min(height_B.min(), width_B.min()) >= 1
    assert min(top_B.min(), left_B.min()) >= 0
    assert (top_B + height_B).max() <= 7
    assert (left_B + width_B).max() <= 3


def test_the_largest_draw_leaves_a_box_within_the_image(monkeypatch):
    """In float32 the largest draws are one, which would be a box one pixel beyond the image."""
    monkeypatch.setattr(views, "uniforms", lambda indices, *context: np.full(indices.shape, 1 - 2.0**-53))
    (batch,) = made(random_images(), crops=[Crop(View(crop_scale=(0.01, 0.1)), SIZE)]).boxes
    top, left, height, width = batch[0].tolist()
    assert (top + height, left + width) == (SIZE, SIZE)


@pytest.mark.parametrize(
    "options",
    [{"crop_scale": (0, 0)}, {"crop_scale": (0, 1)}, {"crop_scale": (0.5, 0.2)}, {"crop_scale": (0.5, 1.2)}]
    + [{"crop_scale": (0.2, 1), "ratio": ratio} for ratio in ((0, 1), (2, 1))],
)
def test_a_recipe_that_cannot_be_made_is_refused(options):
    with pytest.raises(ValueError, match=list(options)[-1]):
        View(**options)


def test_a_batch_has_a_view_a_crop_and_the_place_that_each_was_cut_from():
    batch = made(random_images())
    assert [view_BCSS.shape for view_BCSS in batch.views] == [(BATCH, 3, size, size) for _, size, _ in CROPS]
    assert [box_B4.shape for box_B4 in batch.boxes] == [(BATCH, 4)] * len(CROPS)
    assert [flip_B.shape for flip_B in batch.flips] == [(BATCH,)] * len(CROPS)
    assert torch.equal(batch.labels_B, LABELS)


@pytest.mark.parametrize("uniform", [False, True])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_view_is_what_its_box_and_its_flip_say(uniform, interpolation):
    """An image whose channels are the row and the column of each pixel tells where each pixel of a view is from."""
    row, column = torch.meshgrid(torch.arange(SIZE), torch.arange(SIZE), indexing="ij")
    images_BCHW = torch.stack([row, column, row]).to(torch.uint8).repeat(BATCH, 1, 1, 1)
    recipe = View(crop_scale=(0.2, 0.5), interpolation=interpolation, **ONLY_CROP)
    batch = made(images_BCHW, crops=[Crop(recipe, 4, uniform)])
    top_B, left_B, height_B, width_B = batch.boxes[0].T
    share_B = torch.where(batch.flips[0], 0.625, 0.375)
    equal(255 * batch.views[0][:, 0, 1].mean(1), top_B + 0.375 * height_B - 0.5, atol=0.2)
    equal(255 * batch.views[0][:, 1, :, 1].mean(1), left_B + share_B * width_B - 0.5, atol=0.2)


def test_a_view_of_a_sample_is_the_same_alone_and_in_any_batch():
    images_BCHW, order = random_images(), np.array([7, 2, 11, 0, 5])
    together, mixed = made(images_BCHW), made(images_BCHW[order], order)
    alone = [made(images_BCHW[[number]], SAMPLES[[number]]) for number in SAMPLES]
    for crop in range(len(CROPS)):
        equal(mixed.views[crop], together.views[crop][order])
        equal(torch.cat([batch.views[crop] for batch in alone]), together.views[crop])
        for place in ("boxes", "flips"):
            whole = getattr(together, place)[crop]
            assert torch.equal(getattr(mixed, place)[crop], whole[order])
            assert torch.equal(torch.cat([getattr(batch, place)[crop] for batch in alone]), whole)


def test_a_uniform_crop_has_one_place_a_step_whatever_the_samples_are():
    images_BCHW, crops = random_images(), [Crop(FULL, SIZE, uniform=True)] * 2
    places = set()
    for step in range(40):
        batch, other = made(images_BCHW, crops=crops, step=step), made(images_BCHW[3:], SAMPLES[3:], crops, step=step)
        for box_B4, flip_B, other_B4, other_flip_B in zip(*batch[1:3], *other[1:3], strict=True):
            place = torch.cat([box_B4, flip_B[:, None]], 1)
            assert torch.equal(place, place[:1].expand_as(place))
            assert torch.equal(torch.cat([other_B4, other_flip_B[:, None]], 1), place[3:])
            places.add(tuple(place[0].tolist()))
    assert len(places) > 75
    assert {place[-1] for place in places} == {0, 1}


def test_colours_in_a_uniform_crop_are_those_of_each_image():
    grey_BCHW = torch.full((BATCH, 3, SIZE, SIZE), 100, dtype=torch.uint8)
    recipe = View(crop_scale=(0.2, 1), jitter=1, brightness=0.8)
    (view_BCSS,) = made(grey_BCHW, crops=[Crop(recipe, SIZE, uniform=True)]).views
    assert len(view_BCSS[:, 0, 0, 0].unique()) == BATCH


def test_uniform_places_are_distributed_over_steps_as_those_of_torchvision():
    recipe, image_1CHW = View(crop_scale=(0.2, 1), **ONLY_CROP), random_images()[:1]
    crops = [Crop(recipe, 4, uniform=True)]
    batches = [made(image_1CHW, SAMPLES[5:6], crops, step=step) for step in range(1500)]
    ours_N4 = torch.cat([batch.boxes[0] for batch in batches]).double().numpy()
    assert_same_distribution(ours_N4, boxes_of_torchvision(SIZE, SIZE, len(batches), recipe))
    assert 0.47 < torch.cat([batch.flips[0] for batch in batches]).float().mean() < 0.53


def test_views_differ_between_recipes_steps_and_seeds_and_stay_in_range():
    images_BCHW = random_images()
    made_views = [
        view_BCSS
        for seed, step in ((0, 0), (0, 1), (1, 0))
        for view_BCSS in made(images_BCHW, seed=seed, step=step).views
        if view_BCSS.shape[-1] == SIZE
    ]
    for number, view_BCSS in enumerate(made_views):
        assert view_BCSS.min() >= 0
        assert view_BCSS.max() <= 1
        for other_BCSS in made_views[:number]:
            assert ((view_BCSS - other_BCSS).abs().amax((1, 2, 3)) > 0.01).all()


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_recipe_of_nothing_leaves_the_images_as_they_are(channels, interpolation):
    images_BCHW = random_images(channels)
    recipe = View(crop_scale=(1, 1), ratio=(1, 1), interpolation=interpolation, flip=0, **ONLY_CROP)
    assert torch.equal(made(images_BCHW, crops=[Crop(recipe, SIZE)]).views[0], images_BCHW.float() / 255)


def test_making_views_does_not_change_the_images():
    images_BCHW = random_images()
    made(images_BCHW)
    assert torch.equal(images_BCHW, random_images())
