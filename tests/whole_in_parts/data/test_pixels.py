"""The test transform, pixel by pixel against torchvision's."""

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from torchvision.transforms import v2
from torchvision.transforms.v2 import InterpolationMode

from whole_in_parts.config.study import Study
from whole_in_parts.config.transform import ImageTransform
from whole_in_parts.data.pixels import resize_center_crop


def picture(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("resize", [24, 28, None])
@pytest.mark.parametrize("extent", [(37, 50), (50, 37), (24, 24), (24, 91), (13, 17), (101, 68)])
def test_the_pixels_are_those_of_torchvisions_resize_and_center_crop(extent, resize, interpolation):
    mode = InterpolationMode(interpolation)
    theirs = v2.Compose([v2.Resize(resize or 24, mode), v2.CenterCrop(24)])(picture(*extent))
    ours = resize_center_crop(picture(*extent), 24, ImageTransform(resize=resize, interpolation=interpolation))
    np.testing.assert_array_equal(np.array(ours), np.array(theirs))


@pytest.mark.parametrize("extent", [(37, 50), (24, 91), (20, 20)])
def test_without_the_aspect_both_sides_are_resized(extent):
    theirs = v2.Resize([24, 24], InterpolationMode.BICUBIC)(picture(*extent))
    ours = resize_center_crop(picture(*extent), 24, ImageTransform(resize=24, keep_aspect=False))
    np.testing.assert_array_equal(np.array(ours), np.array(theirs))


def test_of_a_photograph_the_protocol_keeps_what_resizing_the_square_would_cut():
    """On 375 × 500 pixels, resized to 256 and cropped to 224, 24 of 375 rows are cut at the top; none by the square."""
    rows = np.arange(375, dtype=np.uint8)[:, None, None].repeat(500, 1).repeat(3, 2)
    image = Image.fromarray(np.where(np.arange(375)[:, None, None] < 20, 255, 0 * rows).astype(np.uint8))
    protocol = np.array(resize_center_crop(image, 224, ImageTransform(resize=256)))
    square = np.array(resize_center_crop(image, 224, ImageTransform()))
    assert (protocol[:, 0, 0] > 128).sum() == 0
    assert (square[:, 0, 0] > 128).sum() == 12


def test_an_image_that_has_the_size_stays_as_it_is():
    np.testing.assert_array_equal(np.array(resize_center_crop(picture(24, 24), 24, ImageTransform())), picture(24, 24))


def test_a_resize_below_the_crop_is_refused_by_its_key_with_the_run(small):
    content = small.model_dump()
    content["datasets"]["digits"]["test_transform"] = {"resize": 7}
    message = r"datasets\.digits\.test_transform\.resize: 7 is smaller than the crop of 8, .* that runs\.\w+ evaluates"
    with pytest.raises(ValidationError, match=message):
        Study.model_validate(content)
