import importlib
import zlib

import numpy as np
import pytest
import torch

from tests.whole_in_parts.evaluation.corruptions.examples import NUMBERS, SETS, distances, images
from whole_in_parts.config.evaluations import CORRUPTIONS
from whole_in_parts.evaluation import corruption
from whole_in_parts.evaluation.corruption import SEVERITIES, VALUES_PER_CHUNK, corrupt, released_set, truncate_to_8_bit

NOISE = ["gaussian_noise", "shot_noise", "impulse_noise"]
BLUR = ["defocus_blur", "glass_blur", "motion_blur", "zoom_blur"]
WEATHER = ["snow", "frost", "fog", "brightness"]
DIGITAL = ["contrast", "elastic_transform", "pixelate", "jpeg_compression"]
RANDOM = [*NOISE, "glass_blur", "motion_blur", "snow", "frost", "fog", "elastic_transform"]
NAMES = CORRUPTIONS


def test_the_files_are_the_fifteen_corruptions_of_the_paper():
    assert sorted(NOISE + BLUR + WEATHER + DIGITAL) == NAMES


@pytest.mark.parametrize(("size", "name"), [(8, 2), (32, 2), (63, 2), (64, 1), (223, 1), (224, 0), (448, 0)])
def test_the_constants_are_those_of_the_released_set_for_the_size(size, name):
    assert released_set(size) == list(SETS)[name]


@pytest.mark.parametrize("name", NAMES)
def test_each_released_set_has_five_constants(name):
    constants = importlib.import_module(f"whole_in_parts.evaluation.corruptions.{name}").CONSTANTS
    assert {released: len(five) for released, five in constants.items()} == dict.fromkeys(SETS, len(SEVERITIES))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [28, 64, 224])
def test_an_image_has_the_same_bytes_in_a_batch_of_any_size_and_order(name, size, monkeypatch):
    given_BCHW = images(size)
    whole_BCHW = corrupt(name, given_BCHW, 3, NUMBERS)
    order = [2, 0, 3, 1]
    assert torch.equal(corrupt(name, given_BCHW[order], 3, NUMBERS[order]), whole_BCHW[order])
    monkeypatch.setitem(VALUES_PER_CHUNK, "cpu", 2 * given_BCHW[0].numel())
    assert torch.equal(corrupt(name, given_BCHW, 3, NUMBERS), whole_BCHW)
    alone_1CHW = corrupt(name, given_BCHW[[2]], 3, NUMBERS[[2]])
    assert torch.equal(alone_1CHW[0], whole_BCHW[2])


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no accelerator")
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [28, 224])
def test_an_accelerator_gives_the_same_bytes(name, size):
    given_BCHW = images(size)
    assert torch.equal(corrupt(name, given_BCHW.cuda(), 3, NUMBERS).cpu(), corrupt(name, given_BCHW, 3, NUMBERS))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_random_depends_on_number_and_severity_and_nothing_else(name):
    same_BCHW = images(32)[[0, 0]]
    first, second = corrupt(name, same_BCHW, 3, np.array([5, 6]))
    assert torch.equal(first, second) == (name not in RANDOM)
    assert torch.equal(corrupt(name, same_BCHW, 3, np.array([5, 5]))[1], first)


def test_no_two_corruptions_or_severities_draw_the_same_numbers():
    grey_BCHW = torch.full((1, 1, 64, 64), 0.5)
    number = np.array([5])
    hit = {
        (name, severity): corrupt(name, grey_BCHW, severity, number) < 0.45
        for name in ("gaussian_noise", "shot_noise")
        for severity in (4, 5)
    }
    shares = [
        float((first & second).float().mean() / (first.float().mean() * second.float().mean()))
        for one, first in hit.items()
        for other, second in hit.items()
        if one < other
    ]
    assert shares == pytest.approx([1] * 6, abs=0.15)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("size", [8, 31, 100, 230])
def test_corrupted_images_are_of_8_bits_have_the_given_shape_and_leave_the_given_ones_alone(name, channels, size):
    given_BCHW = images(size, channels, 2).round()
    before_BCHW = given_BCHW.clone()
    found_BCHW = corrupt(name, given_BCHW, 5, NUMBERS[:2])
    assert found_BCHW.shape == given_BCHW.shape
    assert found_BCHW.dtype == torch.float32
    assert 0 <= found_BCHW.min() <= found_BCHW.max() <= 1
    assert torch.equal((found_BCHW * 255).round() / 255, found_BCHW)
    assert torch.equal(given_BCHW, before_BCHW)
    assert not torch.equal(given_BCHW, found_BCHW)


@pytest.mark.parametrize("name", [*NOISE, "defocus_blur", "zoom_blur", "brightness", "contrast"])
@pytest.mark.parametrize("size", SETS.values(), ids=SETS)
def test_a_higher_severity_takes_an_image_farther_from_what_it_was(name, size):
    found = distances(name, images(size, cells=7))
    assert found[0] > 0
    assert found == sorted(set(found))


def test_images_are_cut_to_8_bits_and_what_misses_one_by_an_error_of_rounding_counts_as_it():
    levels = torch.arange(256, dtype=torch.float64) / 255
    assert torch.equal(truncate_to_8_bit(levels - 1e-12), levels)
    assert torch.equal(truncate_to_8_bit(levels + 0.9 / 255), levels)


@pytest.mark.parametrize("name", ["brightness", "motion_blur"])
def test_from_64_pixels_images_go_through_a_jpeg_as_the_released_ones_did(name, monkeypatch):
    saved = {size: corrupt(name, images(size), 3, NUMBERS) for size in SETS.values()}
    monkeypatch.setattr(corruption, "SAVED_AS_JPEG", dict.fromkeys(SETS))
    plain = {size: corrupt(name, images(size), 3, NUMBERS) for size in SETS.values()}
    assert torch.equal(saved[32], plain[32])
    for size in (64, 224):
        assert 0 < (saved[size] - plain[size]).abs().mean() < 0.05


GOLDEN = {
    "brightness": 0x6F3243E5,
    "contrast": 0x5074D1DF,
    "defocus_blur": 0x89A3F4CF,
    "elastic_transform": 0x4146A41F,
    "fog": 0xC98B6BDC,
    "gaussian_noise": 0xA1CD6724,
    "glass_blur": 0xCB181DDB,
    "impulse_noise": 0x67B94C4F,
    "motion_blur": 0xB9C46A3F,
    "pixelate": 0xD3BF01C0,
    "shot_noise": 0x0BA84C10,
    "snow": 0x1E458553,
    "zoom_blur": 0xA8273B0E,
}


@pytest.mark.parametrize("name", GOLDEN)
def test_the_bytes_are_always_the_same(name):
    """JPEG and the photographs of ice are left out: a decoder may change by a level."""
    found_BCHW = corrupt(name, images(32), 3, NUMBERS)
    assert zlib.crc32(found_BCHW.mul(255).round().byte().numpy().tobytes()) == GOLDEN[name]
