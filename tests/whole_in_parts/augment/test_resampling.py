"""Crops against torchvision."""

import pytest
import torch
from torchvision.transforms.v2 import functional as tv

from tests.whole_in_parts.augment.pictures import BATCH, equal, random_images
from whole_in_parts.augment.resampling import crop

BOXES = torch.stack(
    [
        torch.tensor([top, left, height, width])
        for top, height in ((0, 20), (3, 9), (19, 1))
        for left, width in ((0, 28), (0, 1), (5, 20), (20, 8))
    ]
).float()
MIRRORED = torch.arange(BATCH) % 2 == 0


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [4, 16, 20, 45], ids=lambda size: f"to {size}")
def test_crop_equals_torchvision_resized_crop(channels, size, interpolation):
    images_BCHW = random_images(channels, 20, 28).float() / 255
    ours_BCSS = crop(images_BCHW, BOXES, size, MIRRORED, interpolation)
    for ours_CSS, image_CHW, box, mirrored in zip(ours_BCSS, images_BCHW, BOXES.int().tolist(), MIRRORED, strict=True):
        mode = tv.InterpolationMode(interpolation)
        theirs_CSS = tv.resized_crop(image_CHW, *box, size=[size, size], interpolation=mode, antialias=True).clamp(0, 1)
        equal(ours_CSS, tv.horizontal_flip(theirs_CSS) if mirrored else theirs_CSS)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_a_crop_of_all_to_the_same_size_is_the_image(interpolation):
    images_BCHW = random_images().float() / 255
    boxes_B4 = torch.tensor([0.0, 0.0, 20.0, 20.0]).repeat(BATCH, 1)
    equal(crop(images_BCHW, boxes_B4, 20, torch.zeros(BATCH, dtype=torch.bool), interpolation), images_BCHW, atol=0)


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_nothing_outside_its_box_is_in_a_crop(interpolation):
    images_BCHW = random_images(3, 20, 28).float() / 255
    masked_BCHW = torch.zeros_like(images_BCHW)
    for number, (top, left, height, width) in enumerate(BOXES.int().tolist()):
        box = (number, slice(None), slice(top, top + height), slice(left, left + width))
        masked_BCHW[box] = images_BCHW[box]
    equal(crop(images_BCHW, BOXES, 16, MIRRORED, interpolation), crop(masked_BCHW, BOXES, 16, MIRRORED, interpolation))
