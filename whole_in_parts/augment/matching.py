"""Which patches of two crops of an image show the same part of it.

Javidani et al., "Local-Global Self-Supervised Visual Representation Learning", Figure 2 and the text around it. Where
the text's interval between rows contradicts the figure, this is the rule of the figure and of the authors' code,
`augment.py` of https://github.com/alijavidani/Local_Global_Representation_Learning
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Placed(NamedTuple):
    """A crop: its box in the image (top, left, height, width), whether it is mirrored, and its patches a side."""

    box: Sequence[float]
    flip: bool
    patches: int


def match(first: Placed, second: Placed) -> tuple[Tensor, Tensor]:
    """The numbers of the matched patches in both crops, row-major from 0, in the order in which they lie in the image.

    The lists are of one length and without repeats; they are empty where what the crops share is at most half a patch
    of one of them, in height or in width. What they share is rounded to whole patches, start and count apart, and so
    a match is not exact: along each axis, the centres of matched patches that cover u and v pixels of the image are
    at most 1.5 (u + v) apart, where patches overlap below 0.5 (u + v). With DINO's crops and patches of 16 pixels,
    4 % of the matches between a global and a local crop, and 10 % of those between global crops, do not overlap.
    """
    rows, other_rows = _match_axis(first, second, 0)
    columns, other_columns = _match_axis(first, second, 1)
    return _numbers(rows, columns, first), _numbers(other_rows, other_columns, second)


def _match_axis(first: Placed, second: Placed, axis: int) -> tuple[list[int], list[int]]:
    """The matched rows (axis 0) or columns (1) of both crops, as they would be if no crop were mirrored."""
    start = max(first.box[axis], second.box[axis])
    end = min(first.box[axis] + first.box[axis + 2], second.box[axis] + second.box[axis + 2])
    if end <= start:
        return [], []
    shared, other_shared = _patches_between(start, end, first, axis), _patches_between(start, end, second, axis)
    count = min(len(shared), len(other_shared))
    return _spread(shared, count), _spread(other_shared, count)


def _patches_between(start: float, end: float, crop: Placed, axis: int) -> range:
    """The rows or columns of a crop in a part of the image; halves are rounded to even, as in the authors' code."""
    origin, length = crop.box[axis], crop.box[axis + 2]
    first, count = round(crop.patches * ((start - origin) / length)), round(crop.patches * ((end - start) / length))
    return range(first, min(first + count, crop.patches))


def _spread(indices: range, count: int) -> list[int]:
    """So many of the numbers, evenly spread from the first to the last, rounded down; of a single one, the first."""
    return [indices[place * (len(indices) - 1) // max(1, count - 1)] for place in range(count)]


def _numbers(rows: list[int], columns: list[int], crop: Placed) -> Tensor:
    if crop.flip:
        columns = [crop.patches - 1 - column for column in columns]
    return torch.tensor([row * crop.patches + column for row in rows for column in columns], dtype=torch.int64)
