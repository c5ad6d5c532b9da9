"""Match the patches of two crops of an image that show the same region.

Javidani et al., "Local-Global Self-Supervised Visual Representation Learning", Figure 2 and the text around it. The
text's interval between rows contradicts the figure; this module follows the figure and the authors' code, `augment.py`
of https://github.com/alijavidani/Local_Global_Representation_Learning
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class PatchGrid(NamedTuple):
    """The patches of a crop: its box in the image (top, left, height, width), mirrored or not, and patches per side."""

    box: Sequence[float]
    flip: bool
    patches: int


def match(first: PatchGrid, second: PatchGrid) -> tuple[Tensor, Tensor]:
    """Match patches: two equally long index tensors (row-major, from 0), one per crop, in the order of the image.

    No patch is matched twice. Both tensors are empty if the overlap of the crops is at most half a patch of either
    crop in height or in width. The overlap is rounded to whole patches, its start and its count separately, so a match
    is not exact: along each axis, the centres of matched patches that cover u and v pixels of the image are at most
    1.5 (u + v) apart, while patches overlap below 0.5 (u + v). With DINO's crops and patches of 16 pixels, 4 % of the
    matches between a global and a local crop, and 10 % of those between global crops, do not overlap.
    """
    rows, other_rows = _match_axis(first, second, 0)
    columns, other_columns = _match_axis(first, second, 1)
    return _patch_indices(rows, columns, first), _patch_indices(other_rows, other_columns, second)


def _match_axis(first: PatchGrid, second: PatchGrid, axis: int) -> tuple[list[int], list[int]]:
    """Match the rows (axis 0) or columns (axis 1) of two crops, both taken as not mirrored."""
    start = max(first.box[axis], second.box[axis])
    end = min(first.box[axis] + first.box[axis + 2], second.box[axis] + second.box[axis + 2])
    if end <= start:
        return [], []

    overlap = _patches_between(start, end, first, axis)
    other_overlap = _patches_between(start, end, second, axis)
    count = min(len(overlap), len(other_overlap))
    return _evenly_spaced(overlap, count), _evenly_spaced(other_overlap, count)


def _patches_between(start: float, end: float, crop: PatchGrid, axis: int) -> range:
    """Find the rows or columns of a crop between two coordinates; halves round to even, as in the authors' code."""
    origin = crop.box[axis]
    length = crop.box[axis + 2]
    first = round(crop.patches * ((start - origin) / length))
    count = round(crop.patches * ((end - start) / length))
    return range(first, min(first + count, crop.patches))


def _evenly_spaced(indices: range, count: int) -> list[int]:
    """Take `count` evenly spaced indices from the first to the last, rounded down; a count of one takes the first."""
    return [indices[step * (len(indices) - 1) // max(1, count - 1)] for step in range(count)]


def _patch_indices(rows: list[int], columns: list[int], crop: PatchGrid) -> Tensor:
    """Number the patches in the given rows and columns, row-major; the columns of a mirrored crop run backwards."""
    if crop.flip:
        columns = [crop.patches - 1 - column for column in columns]
    return torch.tensor([row * crop.patches + column for row in rows for column in columns], dtype=torch.int64)
