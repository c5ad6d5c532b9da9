"""The digits of scikit-learn: 1,797 greyscale images of handwritten digits, 8×8 pixels with 17 grey levels (UCI,
Alpaydin and Kaynak, 1998). There is no test split: a quarter of each class is held out.
"""

import gzip
import importlib.resources
from pathlib import Path

import numpy as np

from whole_in_parts.config.sources.digits import DigitsConfig
from whole_in_parts.data.source import Arrays, Dataset, check, held_out

FILE = "digits.csv.gz"
TEST_SHARE = 0.25
MAX_LEVEL = 16


def fetch(options: DigitsConfig, directory: Path) -> None:
    """Copy the file from the installed package and verify its checksum."""
    content = importlib.resources.files("sklearn.datasets.data").joinpath(FILE).read_bytes()
    check("scikit-learn's digits", [gzip.decompress(content)], options.sha256)
    (directory / FILE).write_bytes(content)


def read(options: DigitsConfig, directory: Path) -> Dataset:
    """Read both splits; a row of the file is 64 grey levels of 0 to 16 and the label."""
    rows = np.loadtxt(directory / FILE, delimiter=",").astype(np.int64)
    pixels = (rows[:, :64].reshape(-1, 8, 8) * 255 // MAX_LEVEL).astype(np.uint8)
    labels = rows[:, 64]
    is_test = held_out(labels, TEST_SHARE)
    splits = {"train": Arrays(pixels[~is_test], labels[~is_test]), "test": Arrays(pixels[is_test], labels[is_test])}
    return Dataset([str(digit) for digit in range(10)], splits)
