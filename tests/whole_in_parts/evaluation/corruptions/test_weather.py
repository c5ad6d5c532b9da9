from pathlib import Path

import cv2
import imagecorruptions.corruptions as released
import numpy as np
import pytest
import torch

from tests.whole_in_parts.evaluation.corruptions.examples import LEVEL, NUMBERS, SETS, applied, draw, images, picture
from whole_in_parts.evaluation.corruption import SEVERITIES, released_set
from whole_in_parts.evaluation.corruptions import fog, frost, snow
from whole_in_parts.evaluation.corruptions._draws import normal, uniform
from whole_in_parts.failure import Failure

INNER = slice(25, -25)
"""What no motion blur of snow reaches from beyond an image."""

SEVERE = pytest.mark.parametrize("severity", SEVERITIES)


@SEVERE
def test_snow_equals_imagecorruptions_with_the_same_flakes(severity, monkeypatch):
    given_BCHW = images(224, count=2)
    ours_BHWC = applied("snow", given_BCHW, severity)
    mean, deviation = snow.CONSTANTS["ImageNet-C"][severity - 1][:2]
    drawn_BHW = mean + deviation * normal(NUMBERS[:2], (1, 224, 224), "snow", severity)[:, 0]
    angles_B = 90 * uniform(NUMBERS[:2], (), "snow", severity, "angle") - 135
    draw(monkeypatch, "normal", iter(drawn_BHW.numpy()))
    draw(monkeypatch, "uniform", iter(angles_B.tolist()))
    for ours_HWC, image_CHW in zip(ours_BHWC, given_BCHW, strict=True):
        theirs_HWC = released.snow(picture(image_CHW), severity) / 255
        # The package cuts the enlarged flakes to the image's size after they are blurred, the released code before.
        difference_HWC = np.abs(ours_HWC.numpy() - theirs_HWC)[INNER, INNER]
        # It also blurs them before they are cut to 8 bits, and there are two layers of them.
        assert difference_HWC.max() <= 4.01 * LEVEL
        assert difference_HWC.mean() < LEVEL


@pytest.mark.parametrize("released_set", SETS)
def test_frost_is_a_part_of_a_photograph_scaled_as_for_the_released_set(released_set):
    size = SETS[released_set]
    ice_BCHW = frost.crop_ice(NUMBERS, size, 2)
    folder = Path(released.__file__).parent / "frost"
    for part_CHW, (which, down, right) in zip(ice_BCHW, uniform(NUMBERS, (3,), "frost", 2).tolist(), strict=True):
        photograph = cv2.imread(str(folder / frost.PHOTOGRAPHS[int(5 * which)]))
        scaled = cv2.resize(photograph, (0, 0), fx=frost.SCALES[released_set], fy=frost.SCALES[released_set])
        top, left = int(down * (len(scaled) - size)), int(right * (scaled.shape[1] - size))
        part_HWC = cv2.cvtColor(scaled[top : top + size, left : left + size], cv2.COLOR_BGR2RGB)
        assert torch.equal(part_CHW.mul(255).round().byte().permute(1, 2, 0), torch.from_numpy(part_HWC))


@pytest.mark.parametrize(("scale", "differing"), [(0.2, 0), (0.3, 0), (0.7, 0), (1.0, 0), (0.5, 0.5), (1.7, 0.005)])
def test_photographs_are_resized_as_opencv_does(scale, differing):
    pixels_HWC = np.random.default_rng(0).integers(0, 256, (83, 120, 3), np.uint8)
    theirs_HWC = cv2.resize(pixels_HWC, (0, 0), fx=scale, fy=scale)
    difference_HWC = np.abs(frost.resize_linear(pixels_HWC, scale).astype(int) - theirs_HWC)
    assert difference_HWC.max() <= 1
    assert (difference_HWC > 0).mean() <= differing


@pytest.mark.parametrize("size", [32, 64, 224])
def test_frost_is_the_weighted_sum_of_image_and_ice(size):
    given_BCHW = images(size)
    kept, added = frost.CONSTANTS[released_set(size)][2]
    expected_BHWC = (kept * given_BCHW + added * frost.crop_ice(NUMBERS, size, 3)).clamp(0, 1).permute(0, 2, 3, 1)
    np.testing.assert_allclose(applied("frost", given_BCHW, 3), expected_BHWC, atol=1e-6)


def test_photographs_that_are_not_installed_are_asked_for_by_name(monkeypatch):
    frost.load_photographs.cache_clear()
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(Failure, match="imagecorruptions-imaug, which is not installed"):
        frost.load_photographs(1.0)


def test_a_photograph_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(Failure, match=r"frost9\.png"):
        frost.load_photograph(tmp_path / "frost9.png", 1)


@SEVERE
def test_fog_equals_imagecorruptions_with_the_same_numbers(severity, monkeypatch):
    given_BCHW = images(224, count=2)
    ours_BHWC = applied("fog", given_BCHW, severity)
    decay = fog.CONSTANTS["ImageNet-C"][severity - 1][1]

    def noise():
        for drawn_MM in uniform(NUMBERS[:2], (256, 256), "fog", severity).mul(2).sub(1).numpy():
            step, range_ = 256, 100.0
            while step >= 2:
                half = step // 2
                for rows, columns in ((half, half), (0, half), (half, 0)):
                    yield range_ * drawn_MM[rows::step, columns::step]
                step, range_ = half, range_ / decay

    draw(monkeypatch, "uniform", noise())
    for ours_HWC, image_CHW in zip(ours_BHWC, given_BCHW, strict=True):
        np.testing.assert_allclose(ours_HWC, released.fog(picture(image_CHW), severity) / 255, atol=1e-5)


@SEVERE
@pytest.mark.parametrize("channels", [1, 3])
def test_brightness_equals_imagecorruptions(severity, channels):
    given_BCHW = images(224, channels, 2)
    given_BCHW[0, :, :9] = 0
    given_BCHW[1, :, :9] = 1
    for ours_HWC, image_CHW in zip(applied("brightness", given_BCHW, severity), given_BCHW, strict=True):
        theirs_HWC = released.brightness(picture(image_CHW.expand(3, -1, -1)), severity) / 255
        np.testing.assert_allclose(ours_HWC.expand(-1, -1, 3), theirs_HWC, atol=1e-9)
