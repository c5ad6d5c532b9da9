import io

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from whole_in_parts.config.sources.digits import DigitsConfig
from whole_in_parts.data.sources import digits
from whole_in_parts.failure import Failure


@pytest.fixture(scope="module")
def content(small, tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    options = small.datasets["digits"].source
    digits.fetch(options, folder)
    return digits.read(options, folder)


def test_the_splits_hold_every_digit_of_scikit_learn_once(content):
    found = []
    for samples in content.splits.values():
        for sample in samples:
            pixels = np.asarray(Image.open(io.BytesIO(sample.image)))
            found.append((sample.label, tuple(pixels.ravel().tolist())))
    theirs = load_digits()
    scaled = (theirs.images.astype(int) * 255 // 16).reshape(-1, 64)
    assert sorted(found) == sorted(zip(theirs.target.tolist(), map(tuple, scaled.tolist()), strict=True))


def test_a_quarter_of_each_class_is_held_out(content):
    train, test = (np.bincount(content.splits[split].labels) for split in ("train", "test"))
    assert (np.abs(test - (train + test) / 4) <= 0.5).all()


def test_other_digits_than_those_expected_are_refused(tmp_path):
    with pytest.raises(Failure, match=r"scikit-learn's digits: its sha256 is 6ebb3d2f.*params\.yaml expects 000000"):
        digits.fetch(DigitsConfig(name="digits", sha256="0" * 64), tmp_path)
    assert not list(tmp_path.iterdir())
