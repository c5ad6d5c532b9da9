import cv2
import imagecorruptions.corruptions as released
import numpy as np
import pytest
import torch
from scipy.ndimage import map_coordinates
from skimage.filters import gaussian

from tests.whole_in_parts.evaluation.corruptions.examples import NUMBERS, SETS, applied, exact, images, picture
from whole_in_parts.evaluation.corruption import SEVERITIES, released_set
from whole_in_parts.evaluation.corruptions import elastic_transform
from whole_in_parts.evaluation.corruptions._draws import uniform

SEVERE = pytest.mark.parametrize("severity", SEVERITIES)


@SEVERE
@pytest.mark.parametrize("name", ["contrast", "pixelate", "jpeg_compression"])
def test_what_is_not_random_equals_imagecorruptions(name, severity):
    given_BCHW = images(224, count=2)
    for ours_HWC, image_CHW in zip(applied(name, given_BCHW, severity), given_BCHW, strict=True):
        theirs_HWC = np.asarray(getattr(released, name)(picture(image_CHW), severity)) / 255
        np.testing.assert_allclose(ours_HWC, theirs_HWC, atol=1e-9)


def smooth(size: int) -> torch.Tensor:
    """Images (B, 3, S, S) that differ little between neighbours."""
    coarse_BCHW = torch.rand(len(NUMBERS), 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return exact(torch.nn.functional.interpolate(coarse_BCHW, size, mode="bicubic").clamp(0, 1))


@SEVERE
@pytest.mark.parametrize("size", SETS.values(), ids=SETS)
def test_elastic_transform_equals_opencv_scikit_image_and_scipy_with_the_same_numbers(size, severity):
    given_BCHW = smooth(size)
    ours_BHWC = applied("elastic_transform", given_BCHW, severity)
    constant = elastic_transform.CONSTANTS[released_set(size)][severity - 1]
    length, sigma, reach = (size * share for share in constant)
    moves_B32, field_BHW2 = (
        (2 * uniform(NUMBERS, shape, "elastic_transform", severity, part) - 1).numpy()
        for part, shape in (("affine", (3, 2)), ("field", (size, size, 2)))
    )
    corners_32 = np.float32(size // 2 + size // 3 * np.array([[1, 1], [1, -1], [-1, -1]]))
    rows_HW, columns_HW = np.mgrid[:size, :size]
    for ours_HWC, image_CHW, moves_32, field_HW2 in zip(ours_BHWC, given_BCHW, moves_B32, field_BHW2, strict=True):
        turn_23 = cv2.getAffineTransform(corners_32, np.float32(corners_32 + reach * moves_32))
        image_HWC = np.float32(image_CHW.permute(1, 2, 0))
        bent_HWC = cv2.warpAffine(image_HWC, turn_23, (size, size), borderMode=cv2.BORDER_REFLECT_101)
        right_HW, down_HW = (
            length * gaussian(field_HW2[..., axis], sigma, mode="reflect", truncate=3) for axis in (0, 1)
        )
        places = [rows_HW + down_HW, columns_HW + right_HW]
        for channel in range(3):
            theirs_HW = map_coordinates(bent_HWC[..., channel], places, order=1, mode="reflect")
            # OpenCV knows places to a 32nd of a pixel.
            np.testing.assert_allclose(ours_HWC[..., channel], theirs_HW.clip(0, 1), atol=0.02)


@pytest.mark.parametrize(("edge", "border"), [("reflect", "reflect"), ("reflect_101", "mirror")])
def test_sampling_between_pixels_equals_scipy_s_far_beyond_the_image_too(edge, border):
    given_BCHW = exact(images(9, count=2))
    places_BHW2 = 60 * torch.rand(2, 9, 9, 2, dtype=torch.float64) - 25
    found_BCHW = elastic_transform.sample_linearly(given_BCHW, places_BHW2, edge)
    for found_CHW, image_CHW, places_HW2 in zip(found_BCHW, given_BCHW, places_BHW2, strict=True):
        for found_HW, image_HW in zip(found_CHW, image_CHW, strict=True):
            expected_HW = map_coordinates(image_HW, [places_HW2[..., 1], places_HW2[..., 0]], order=1, mode=border)
            np.testing.assert_allclose(found_HW, expected_HW, atol=1e-12)


def test_an_elastic_transform_of_no_length_is_the_image_itself():
    given_BCHW = exact(images(32))
    found_BCHW = elastic_transform.apply(given_BCHW, (0, 0, 0), NUMBERS, 1)
    np.testing.assert_allclose(found_BCHW, given_BCHW, atol=1e-9)


@pytest.mark.parametrize("name", ["pixelate", "jpeg_compression"])
def test_a_grey_image_is_treated_as_pillow_treats_grey_pictures(name):
    given_BCHW = images(224, 1, 2)
    for ours_HWC, image_CHW in zip(applied(name, given_BCHW, 2), given_BCHW, strict=True):
        theirs_HWC = np.asarray(getattr(released, name)(picture(image_CHW.expand(3, -1, -1)), 2)) / 255
        np.testing.assert_allclose(ours_HWC.expand(-1, -1, 3), theirs_HWC, atol=1.01 / 255)
