import cv2
import imagecorruptions.corruptions as released
import numpy as np
import pytest
import torch
from skimage.filters import gaussian

from tests.whole_in_parts.evaluation.corruptions.examples import (
    LEVEL,
    NUMBERS,
    SETS,
    applied,
    draw,
    exact,
    images,
    picture,
)
from whole_in_parts.evaluation.corruption import SEVERITIES, released_set
from whole_in_parts.evaluation.corruptions import defocus_blur, glass_blur, motion_blur, zoom_blur
from whole_in_parts.evaluation.corruptions._draws import uniform

SEVERE = pytest.mark.parametrize("severity", SEVERITIES)


@SEVERE
def test_the_disk_is_that_of_the_released_code_without_the_zeros_around_it(severity):
    constant = defocus_blur.CONSTANTS["ImageNet-C"][severity - 1]
    theirs_KK = released.disk(*constant)
    ours_KK = defocus_blur.disk_kernel(*constant).numpy()
    border = (len(theirs_KK) - len(ours_KK)) // 2
    np.testing.assert_allclose(np.pad(ours_KK, border), theirs_KK, atol=1e-6)
    assert ours_KK[0].any()


@pytest.mark.parametrize("size", SETS.values(), ids=SETS)
@SEVERE
def test_defocus_blur_equals_opencv_with_the_released_disk(size, severity):
    given_BCHW = images(size, count=2)
    constant = defocus_blur.CONSTANTS[released_set(size)][severity - 1]
    for ours_HWC, image_CHW in zip(applied("defocus_blur", given_BCHW, severity), given_BCHW, strict=True):
        theirs_HWC = cv2.filter2D(image_CHW.permute(1, 2, 0).numpy(), -1, released.disk(*constant))
        np.testing.assert_allclose(ours_HWC, theirs_HWC.clip(0, 1), atol=1e-5)


@SEVERE
def test_glass_blur_equals_imagecorruptions_visiting_pixel_by_pixel(severity, monkeypatch):
    given_1CHW = images(224, count=1)
    ours_HWC = applied("glass_blur", given_1CHW, severity)[0]
    reach, times = glass_blur.CONSTANTS["ImageNet-C"][severity - 1][1:]

    def moves():
        for time in range(times):
            drawn_HW = uniform(NUMBERS[:1], (224, 224), "glass_blur", severity, time)[0].mul((2 * reach) ** 2).int()
            visited = drawn_HW[reach + 1 : 224 - reach + 1, reach + 1 : 224 - reach + 1].flip(0, 1).flatten()
            for way in visited.tolist():
                yield way % (2 * reach) - reach, way // (2 * reach) - reach

    draw(monkeypatch, "randint", moves())
    monkeypatch.setattr(np.random, "seed", lambda _: None)
    compiled = released._shuffle_pixels_njit_glass_blur
    monkeypatch.setattr(released, "_shuffle_pixels_njit_glass_blur", compiled.py_func)
    theirs_HWC = released.glass_blur(picture(given_1CHW[0]), severity, seed=0) / 255
    # Before it is shuffled, a value is cut to 8 bits: one that is a whole number may fall to either side.
    np.testing.assert_allclose(ours_HWC, theirs_HWC, atol=1.01 * LEVEL)
    assert (np.abs(ours_HWC.numpy() - theirs_HWC) > 1e-6).mean() < 0.01


def test_shuffled_pixels_are_copied_and_not_exchanged_and_a_border_stays():
    source_BP = glass_blur.shuffle_sources(uniform(NUMBERS, (32, 32), "a shuffle"), 2)
    assert all(len(set(source.tolist())) < 32 * 32 for source in source_BP)
    itself_BHW = (source_BP == torch.arange(32 * 32)).unflatten(1, (32, 32))
    assert itself_BHW[:, :3].all()
    assert itself_BHW[:, -1].all()
    assert itself_BHW[:, 3:-1, 3:-1].double().mean() < 0.2


@pytest.mark.parametrize(("sigma", "truncate", "edge"), [(0.05, 4, "nearest"), (1.5, 4, "nearest"), (40, 3, "reflect")])
def test_a_gaussian_as_a_matrix_equals_scikit_image_s(sigma, truncate, edge):
    given_HW = images(32, 1, 1)[0, 0].double()
    ours_HW = glass_blur.blur(given_HW, glass_blur.gaussian_matrix(32, sigma, truncate, edge))
    theirs_HW = gaussian(given_HW.numpy(), sigma, mode=edge, truncate=truncate)
    np.testing.assert_allclose(ours_HW, theirs_HW, atol=1e-12)


@SEVERE
def test_motion_blur_equals_imagecorruptions_along_the_same_line(severity, monkeypatch):
    given_BCHW = images(224, count=2)
    ours_BHWC = applied("motion_blur", given_BCHW, severity)
    angles_B = 90 * uniform(NUMBERS[:2], (), "motion_blur", severity) - 45
    draw(monkeypatch, "uniform", iter(angles_B.tolist()))
    for ours_HWC, image_CHW in zip(ours_BHWC, given_BCHW, strict=True):
        theirs_HWC = released.motion_blur(picture(image_CHW), severity) / 255
        np.testing.assert_allclose(ours_HWC, theirs_HWC, atol=0.51 * LEVEL)  # ours is rounded, as ImageMagick's is


@pytest.mark.parametrize(("angle", "step"), [(0, (0, 1)), (90, (1, 0)), (-90, (-1, 0))])
def test_a_point_is_smeared_against_the_direction_of_the_line(angle, step):
    given_BCHW = torch.zeros(1, 1, 9, 9, dtype=torch.float64)
    given_BCHW[..., 4, 4] = 1
    found_HW = motion_blur.blur_along_line(given_BCHW, torch.tensor([float(angle)]).double(), 1, 1)[0, 0]
    weights = np.exp(-(np.arange(3) ** 2) / 2) / np.exp(-(np.arange(3) ** 2) / 2).sum()
    for steps, weight in enumerate(weights):
        assert found_HW[4 - steps * step[0], 4 - steps * step[1]] == pytest.approx(weight)


@SEVERE
def test_zoom_blur_equals_imagecorruptions(severity):
    given_BCHW = images(224, count=2)
    for ours_HWC, image_CHW in zip(applied("zoom_blur", given_BCHW, severity), given_BCHW, strict=True):
        np.testing.assert_allclose(ours_HWC, released.zoom_blur(picture(image_CHW), severity) / 255, atol=1e-5)


@pytest.mark.parametrize("factor", [1, 1.05, 2.5, 3, 4.5])
def test_the_enlarged_middle_equals_scipy_s_cut_around_the_middle(factor):
    given_BCHW = exact(images(33, count=1))
    size, cut = 33, int(np.ceil(33 / factor))
    first = (size - cut) // 2
    middle_HWC = given_BCHW[0].permute(1, 2, 0).numpy()[first : first + cut, first : first + cut]
    large_HWC = released.scizoom(middle_HWC, (factor, factor, 1), order=1)
    first = (len(large_HWC) - size) // 2
    theirs_HWC = large_HWC[first : first + size, first : first + size]
    np.testing.assert_allclose(zoom_blur.zoom(given_BCHW, factor)[0].permute(1, 2, 0), theirs_HWC, atol=1e-9)


def test_the_factors_are_those_of_numpy_s_range_where_its_rounding_errors_add_one(monkeypatch):
    factors: list[float] = []

    def seen(images_BCHW, factor):
        factors.append(factor)
        return images_BCHW

    monkeypatch.setattr(zoom_blur, "zoom", seen)
    for constant in zoom_blur.CONSTANTS["CIFAR-C"]:
        zoom_blur.apply(exact(images(8)), constant, NUMBERS, 1)
    assert factors == [factor for end in (1.06, 1.11, 1.16, 1.21, 1.26) for factor in np.arange(1, end, 0.01)]
    assert factors[6] == pytest.approx(1.06)
