"""Read a released set of corrupted images stored as arrays, as CIFAR-10-C is: `<corruption>.npy` and `labels.npy`.

An array has the test images five times, uint8 of N, H, W, 3, from the lowest severity to the highest, each time in the
order of the original test images. The sorted keys of a dataset have the order of its source, so that the n-th image
belongs to the n-th sorted key; equal labels throughout confirm the order.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from whole_in_parts.data.shards import Shards
from whole_in_parts.evaluation.corruption import SEVERITIES
from whole_in_parts.failure import Failure

LABELS = "labels.npy"


class ReleasedArray(Shards):
    """The images of a corruption at a severity, with the order, keys and labels of the dataset's test images."""

    def __init__(self, folder: Path, corruption: str, severity: int, clean: Shards) -> None:
        """Map the arrays into memory and compare their labels with the dataset's.

        Raises:
            Failure: an array is missing, broken or of another shape, or its labels differ from the dataset's.
        """
        self.file = folder / f"{corruption}.npy"
        self.classes = clean.classes
        self.keys = clean.keys
        self.labels = clean.labels

        rows = slice((severity - 1) * len(clean), severity * len(clean))
        released_NHWC = open_array(self.file, len(SEVERITIES) * len(clean))
        if released_NHWC.dtype != np.uint8 or released_NHWC.ndim != 4 or released_NHWC.shape[3] != 3:
            raise Failure(f"{self.file}: {released_NHWC.dtype} of {released_NHWC.shape}; needed is uint8 of N, H, W, 3")

        order_N = np.argsort(np.array(clean.keys))
        labels_N = open_array(folder / LABELS, len(released_NHWC))[rows]
        refuse_other_labels(folder / LABELS, labels_N, clean.labels[order_N])

        self.released_NHWC = released_NHWC[rows]
        # The inverse permutation: from the dataset's order to that of the array.
        self.positions_N = np.argsort(order_N)

    def __getitem__(self, number: int) -> bytes:
        """Encode an image as PPM, a header line followed by the pixels."""
        image_HWC = self.released_NHWC[self.positions_N[number]]
        height, width, _ = image_HWC.shape
        return b"P6 %d %d 255\n" % (width, height) + image_HWC.tobytes()

    def name(self, number: int) -> str:
        return f"{self.keys[number]} in {self.file}"


def open_array(file: Path, length: int) -> NDArray:
    """Map an array into memory.

    Raises:
        Failure: the file is missing or broken, or has another length.
    """
    try:
        array = np.load(file, mmap_mode="r")
    except (OSError, ValueError, EOFError) as error:
        raise Failure(f"corrupted: {file} cannot be read ({error})") from error
    if not isinstance(array, np.ndarray) or array.ndim == 0 or len(array) != length:
        raise Failure(f"{file}: needed are {length} rows, five for each test image; it has {np.shape(array)}")
    return array


def refuse_other_labels(file: Path, labels_N: NDArray, expected_N: NDArray) -> None:
    """Raise `Failure` if the labels differ from the expected ones."""
    if not np.array_equal(labels_N, expected_N):
        first = int(np.flatnonzero(labels_N != expected_N)[0])
        raise Failure(
            f"{file}: image {first} has label {labels_N[first]}, and in the dataset it is {expected_N[first]}; a "
            "released set has the order of the original test images, as a dataset of source torchvision has it"
        )
