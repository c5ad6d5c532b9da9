import numpy as np
import pytest
import torch

from tests.whole_in_parts.evaluation.corruptions.examples import NUMBERS, SETS
from whole_in_parts.evaluation.corruption import SEVERITIES, released_set
from whole_in_parts.evaluation.corruptions import gaussian_noise, impulse_noise, shot_noise

CASES = [
    pytest.param(size, severity, id=f"{name}-{severity}") for name, size in SETS.items() for severity in SEVERITIES
]


def noisy(module, size: int, severity: int, value: float) -> tuple[torch.Tensor, float]:
    """What becomes of images of one value, as one row of numbers, and the constant."""
    constant = module.CONSTANTS[released_set(size)][severity - 1]
    plain_BCHW = torch.full((len(NUMBERS), 3, size, size), value, dtype=torch.float64)
    return module.apply(plain_BCHW, constant, NUMBERS, severity).flatten(), constant


@pytest.mark.parametrize(("size", "severity"), CASES)
def test_gaussian_noise_is_normal_with_the_declared_deviation(size, severity):
    found, sigma = noisy(gaussian_noise, size, severity, 0.5)
    noise = (found - 0.5) / sigma
    error = 4 / len(noise) ** 0.5
    assert abs(noise.mean()) < error
    assert abs(noise.std() - 1) < error
    assert abs((noise.abs() < 1).double().mean() - 0.6827) < error
    assert abs(noise.roll(1).mul(noise).mean()) < error


@pytest.mark.parametrize(("size", "severity"), CASES)
@pytest.mark.parametrize("level", [0, 3, 128, 255])
def test_shot_noise_counts_photons_whose_mean_and_variance_are_equal(size, severity, level):
    found, photons = noisy(shot_noise, size, severity, level / 255)
    counts, mean = found * photons, photons * level / 255
    assert torch.equal(counts.round(), counts.round().clamp(min=0))
    assert torch.allclose(counts, counts.round(), atol=1e-9)
    assert abs(counts.mean() - mean) <= 4 * (mean / len(counts)) ** 0.5
    assert abs(counts.var() - mean) <= 4 * ((2 * mean**2 + mean) / len(counts)) ** 0.5


def test_shot_noise_follows_poisson_s_law():
    found, photons = noisy(shot_noise, 224, 5, 1.0)
    shares = torch.bincount((found * photons).round().long(), minlength=12)[:12] / len(found)
    law = torch.tensor([np.exp(-photons) * photons**k / np.prod(np.arange(1, k + 1)) for k in range(12)])
    assert torch.allclose(shares.double(), law.double(), atol=4 * (0.25 / len(found)) ** 0.5)


@pytest.mark.parametrize(("size", "severity"), CASES)
def test_impulse_noise_makes_as_much_salt_as_pepper_and_leaves_the_rest(size, severity):
    found, share = noisy(impulse_noise, size, severity, 0.4)
    error = 4 * (share / len(found)) ** 0.5
    assert abs((found == 1).double().mean() - share / 2) < error
    assert abs((found == 0).double().mean() - share / 2) < error
    assert set(found.tolist()) == {0, 0.4, 1}
