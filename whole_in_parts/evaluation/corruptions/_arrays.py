"""A released set of corrupted images in arrays, as CIFAR-10-C is: `<corruption>.npy` and `labels.npy`, read in place.

An array has the test images five times, uint8 of N, H, W, 3, from the least severity to the greatest, each time in the
order of the original test images. A dataset's keys have the order of its source: so an image belongs to the sample
whose key stands at its place, if the labels of all do.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whole_in_parts.data.shards import Shards
from whole_in_parts.evaluation.corruption import SEVERITIES
from whole_in_parts.failure import Failure

LABELS = "labels.npy"


class Arrays(Shards):
    """The images of a corruption at a severity, as corrupted twins of the dataset's test images, in their order."""

    def __init__(self, folder: Path, corruption: str, severity: int, clean: Shards) -> None:
        """
        Raises:
            Failure: an array is missing, broken or not of such images, or the labels are not the dataset's.
        """
        self.file, self.classes = folder / f"{corruption}.npy", clean.classes
        self.keys, self.labels = clean.keys, clean.labels
        of_severity = slice((severity - 1) * len(clean), severity * len(clean))
        released_NHWC = opened(self.file, len(SEVERITIES) * len(clean))
        if released_NHWC.dtype != np.uint8 or released_NHWC.ndim != 4 or released_NHWC.shape[3] != 3:
            raise Failure(f"{self.file}: {released_NHWC.dtype} of {released_NHWC.shape}; needed is uint8 of N, H, W, 3")
        order_N = np.argsort(np.array(clean.keys))
        labels_N = opened(folder / LABELS, len(released_NHWC))[of_severity]
        refuse_other_labels(folder / LABELS, labels_N, clean.labels[order_N])
        self.released_NHWC, self.places_N = released_NHWC[of_severity], np.argsort(order_N)

    def __getitem__(self, number: int) -> bytes:
        """An image file in PPM, which is its pixels behind a line."""
        image_HWC = self.released_NHWC[self.places_N[number]]
        height, width, _ = image_HWC.shape
        return b"P6 %d %d 255\n" % (width, height) + image_HWC.tobytes()

    def name(self, number: int) -> str:
        return f"{self.keys[number]} in {self.file}"


def opened(file: Path, length: int) -> NDArray:
    """An array that stays on disk.

    Raises:
        Failure: it is missing or broken, or has another length.
    """
    try:
        found = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise Failure(f"corrupt.folder: {file} cannot be read ({error})") from error
    if not isinstance(found, np.ndarray) or found.ndim == 0 or len(found) != length:
        raise Failure(f"{file}: needed are {length} rows, five for each test image; it has {np.shape(found)}")
    return found


def refuse_other_labels(file: Path, found_N: NDArray, expected_N: NDArray) -> None:
    if not np.array_equal(found_N, expected_N):
        first = int(np.flatnonzero(found_N != expected_N)[0])
        raise Failure(
            f"{file}: image {first} has label {found_N[first]}, and in the dataset it is {expected_N[first]}; a "
            "released set has the order of the original test images, as a dataset of source torchvision has it"
        )
