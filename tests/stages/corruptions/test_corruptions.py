import cv2
import imagecorruptions.corruptions as released
import numpy as np
import pytest
import torch

from stages import corruptions
from stages.corruptions import SEVERITIES, corrupt, defocus_blur, gaussian_noise

SETS = {"ImageNet-C": 224, "Tiny-ImageNet-C": 64, "CIFAR-C": 32}
NAMES = ["gaussian_noise", "defocus_blur"]
NUMBERS = np.array([3, 0, 11, 7])


def images(size: int, channels: int = 1) -> torch.Tensor:
    """Images of a few large shapes, so that a stronger blur takes more of them."""
    coarse_BCHW = torch.rand(len(NUMBERS), channels, 4, 4, generator=torch.Generator().manual_seed(0))
    return torch.nn.functional.interpolate(coarse_BCHW, size)


@pytest.mark.parametrize(("size", "name"), [(8, 2), (32, 2), (63, 2), (64, 1), (223, 1), (224, 0), (448, 0)])
def test_the_constants_are_those_of_the_released_set_for_the_size(size, name):
    assert corruptions.released_as(size) == list(SETS)[name]


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("size", SETS.values(), ids=SETS)
def test_gaussian_noise_is_normal_with_the_declared_deviation(size, severity):
    declared = gaussian_noise.CONSTANTS[corruptions.released_as(size)][severity - 1]
    grey_BCHW = torch.full((len(NUMBERS), 3, size, size), 0.5)
    noise = (gaussian_noise.apply(grey_BCHW, declared, NUMBERS, severity) - grey_BCHW).flatten() / declared
    error = 4 / len(noise) ** 0.5
    assert abs(noise.mean()) < error
    assert abs(noise.std() - 1) < error
    assert abs((noise.abs() < 1).float().mean() - 0.6827) < error
    assert abs(noise.roll(1).mul(noise).mean()) < error


def test_the_noise_of_an_image_depends_on_its_number_and_the_severity_and_not_on_its_batch():
    given_BCHW = images(32)
    noisy_BCHW = corrupt("gaussian_noise", given_BCHW, 3, NUMBERS)
    for position in range(len(NUMBERS)):
        alone_1CHW = corrupt("gaussian_noise", given_BCHW[[position]], 3, NUMBERS[[position]])
        assert torch.equal(alone_1CHW[0], noisy_BCHW[position])
    plain_BCHW = torch.full((4, 1, 32, 32), 0.5)
    drawn = [
        (gaussian_noise.apply(plain_BCHW, 1.0, numbers, severity) - plain_BCHW)[0]
        for numbers, severity in ((NUMBERS, 3), (NUMBERS + 1, 3), (NUMBERS, 4))
    ]
    assert not any(torch.isin(drawn[0], other).float().mean() > 0.01 for other in drawn[1:])


@pytest.mark.parametrize(
    ("severity", "constant"), list(enumerate(defocus_blur.CONSTANTS["ImageNet-C"], 1)), ids=lambda value: str(value)
)
def test_the_disk_is_that_of_the_released_code_without_the_zeros_around_it(severity, constant):
    theirs_KK = released.disk(*constant)
    ours_KK = defocus_blur.disk(*constant).numpy()
    border = (len(theirs_KK) - len(ours_KK)) // 2
    np.testing.assert_allclose(np.pad(ours_KK, border), theirs_KK, atol=1e-6)
    assert ours_KK[0].any()


@pytest.mark.parametrize("size", SETS.values(), ids=SETS)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_defocus_blur_equals_opencv_with_the_released_disk(size, severity):
    given_BCHW = torch.rand(len(NUMBERS), 3, size, size)
    constant = defocus_blur.CONSTANTS[corruptions.released_as(size)][severity - 1]
    ours_BCHW = corrupt("defocus_blur", given_BCHW, severity, NUMBERS)
    for ours_CHW, image_CHW in zip(ours_BCHW, given_BCHW, strict=True):
        theirs_HWC = cv2.filter2D(image_CHW.permute(1, 2, 0).numpy(), -1, released.disk(*constant))
        np.testing.assert_allclose(ours_CHW.permute(1, 2, 0), theirs_HWC.clip(0, 1), atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", SETS.values(), ids=SETS)
def test_a_higher_severity_takes_an_image_farther_from_what_it_was(name, size):
    given_BCHW = images(size)
    distances = [float((corrupt(name, given_BCHW, severity, NUMBERS) - given_BCHW).norm()) for severity in SEVERITIES]
    assert distances[0] > 0
    assert distances == sorted(distances)
    assert len(set(distances)) == len(distances)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 224])
def test_corrupted_images_have_the_shape_and_range_of_the_given_ones_and_leave_them_alone(name, channels, size):
    given_BCHW = images(size, channels).round()
    before_BCHW = given_BCHW.clone()
    found_BCHW = corrupt(name, given_BCHW, 5, NUMBERS)
    assert found_BCHW.shape == given_BCHW.shape
    assert found_BCHW.dtype == torch.float32
    assert 0 <= found_BCHW.min() <= found_BCHW.max() <= 1
    assert torch.equal(given_BCHW, before_BCHW)
