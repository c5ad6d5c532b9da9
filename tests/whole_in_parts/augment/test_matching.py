"""The matching of patches: the paper's example, the authors' code, and what holds for any two crops."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from whole_in_parts.augment.matching import PatchGrid, match

SIDE = 256
exact = settings(deadline=None, derandomize=True, max_examples=60)


@st.composite
def crops(draw, least: int = 1):
    """A crop of an image of 256×256 pixels, with up to 28 patches a side, as 224 pixels in patches of 8 have."""
    (top, bottom), (left, right) = (draw(intervals(least)) for _ in "hw")
    return PatchGrid((top, left, bottom - top, right - left), draw(st.booleans()), draw(st.integers(1, 28)))


@st.composite
def intervals(draw, least: int):
    start = draw(st.integers(0, SIDE - least))
    return start, draw(st.integers(start + least, SIDE))


def matched(first: PatchGrid, second: PatchGrid) -> tuple[list[int], list[int]]:
    one, other = match(first, second)
    return one.tolist(), other.tolist()


def centres(crop: PatchGrid, indices: list[int]) -> np.ndarray:
    """Where the patches of a crop are in the image (N, 2), from their numbers alone."""
    top, left, height, width = crop.box
    rows, columns = np.divmod(np.array(indices, int), crop.patches)
    columns = crop.patches - 1 - columns if crop.flip else columns
    return np.stack([top + (rows + 0.5) * height / crop.patches, left + (columns + 0.5) * width / crop.patches], 1)


def sizes(crop: PatchGrid) -> np.ndarray:
    return np.array(crop.box[2:]) / crop.patches


def mirrored(crop: PatchGrid) -> PatchGrid:
    return crop._replace(flip=not crop.flip)


def test_the_example_of_the_paper():
    """Figure 2: patches 1 to 48 of the global crop have a part in what the crops share, 21 to 36 of the local one.

    Its rows 1, 2 and 4 of four meet the three of the local crop, and its columns 1, 2, 4 and 6 of six meet the four.
    """
    global_crop, local_crop = PatchGrid((48, 32, 224, 224), False, 14), PatchGrid((0, 0, 112, 128), False, 6)
    assert matched(global_crop, local_crop) == (
        [row * 14 + column for row in (0, 1, 3) for column in (0, 1, 3, 5)],
        [row * 6 + column for row in (3, 4, 5) for column in (2, 3, 4, 5)],
    )


def authors(first: PatchGrid, second: PatchGrid) -> tuple[list[int], list[int]]:
    """The steps of the authors' code on grids of numbers, without mirrored crops and where nothing is empty."""
    grids = []
    top, left = (max(first.box[axis], second.box[axis]) for axis in (0, 1))
    bottom, right = (min(crop[axis] + crop[axis + 2] for crop in (first.box, second.box)) for axis in (0, 1))
    for (y, x, height, width), _, patches in (first, second):
        row, column = round(patches * ((top - y) / height)), round(patches * ((left - x) / width))
        rows, columns = round(patches * ((bottom - top) / height)), round(patches * ((right - left) / width))
        grids.append(np.arange(patches**2).reshape(patches, patches)[row : row + rows, column : column + columns])
    for axis in (0, 1):
        larger = int(grids[0].shape[axis] < grids[1].shape[axis])
        length, count = grids[larger].shape[axis], grids[1 - larger].shape[axis]
        grids[larger] = grids[larger].take(np.floor(np.linspace(0, length - 1, count)).astype(int), axis)
    return grids[0].flatten().tolist(), grids[1].flatten().tolist()


@exact
@given(crops(least=100), crops(least=100))
def test_crops_that_are_not_mirrored_are_matched_as_by_the_authors(first, second):
    first, second = first._replace(flip=False), second._replace(flip=False)
    if matched(first, second)[0]:
        assert matched(first, second) == authors(first, second)


@exact
@given(crops(), crops())
def test_matches_are_pairs_of_different_patches(first, second):
    indices, other_numbers = match(first, second)
    assert indices.dtype == other_numbers.dtype == torch.int64
    assert len(indices) == len(other_numbers)
    for crop, list_ in ((first, indices.tolist()), (second, other_numbers.tolist())):
        assert len(set(list_)) == len(list_)
        assert set(list_) <= set(range(crop.patches**2))


@settings(exact, max_examples=300)
@given(crops(), crops())
def test_matched_patches_are_within_three_times_the_distance_at_which_they_overlap(first, second):
    indices, other_numbers = matched(first, second)
    distance_N2 = np.abs(centres(first, indices) - centres(second, other_numbers))
    assert (distance_N2 <= 1.5 * (sizes(first) + sizes(second)) + 1e-9).all()


@exact
@given(crops(), st.integers(1, 28), st.booleans())
def test_crops_of_one_box_have_matches_that_overlap(crop, patches, flip):
    other = PatchGrid(crop.box, flip, patches)
    indices, other_numbers = matched(crop, other)
    distance_N2 = np.abs(centres(crop, indices) - centres(other, other_numbers))
    assert len(indices) == min(crop.patches, patches) ** 2
    assert (distance_N2 <= 0.5 * (sizes(crop) + sizes(other)) + 1e-9).all()


@exact
@given(crops())
def test_a_crop_matches_itself_patch_by_patch(crop):
    indices, other_numbers = matched(crop, crop)
    assert indices == other_numbers
    assert sorted(indices) == list(range(crop.patches**2))


@exact
@given(crops(), crops())
def test_mirroring_a_crop_mirrors_its_columns_and_leaves_the_other(first, second):
    indices, other_numbers = matched(first, second)
    mirror, others = matched(mirrored(first), second)
    rows, columns = np.divmod(np.array(indices, int), first.patches)
    assert mirror == (rows * first.patches + first.patches - 1 - columns).tolist()
    assert others == other_numbers


@exact
@given(crops(), crops())
def test_swapping_the_crops_swaps_the_result(first, second):
    assert matched(first, second) == matched(second, first)[::-1]


@exact
@given(crops(), crops())
def test_the_order_is_that_of_the_image(first, second):
    indices, _ = matched(first, second)
    where = [tuple(centre) for centre in centres(first, indices)]
    assert where == sorted(where)


@pytest.mark.parametrize(
    "box",
    [(100, 0, 50, 50), (0, 100, 50, 50), (100, 100, 50, 50), (200, 200, 20, 20), (0, 0, 8, 100), (0, 92, 100, 100)],
    ids=["below", "right", "at a corner", "far", "half a patch of height", "half a patch of width"],
)
@pytest.mark.parametrize("flip", [False, True])
def test_crops_that_share_at_most_half_a_patch_have_no_match(box, flip):
    first, second = PatchGrid((0, 0, 100, 100), False, 6), PatchGrid(box, flip, 6)
    assert matched(first, second) == matched(second, first) == ([], [])


@pytest.mark.parametrize(("flip", "columns"), [(False, [6]), (True, [0])])
def test_where_start_and_count_are_both_rounded_up_no_patch_beyond_the_last_is_matched(flip, columns):
    """Of 7 patches of 2 pixels, those from 11 to 14: 5.5 and 1.5, rounded to even, are 6 and 2, of which one is."""
    crop, other = PatchGrid((0, 0, 14, 14), flip, 7), PatchGrid((0, 11, 14, 14), False, 7)
    indices, _ = matched(crop, other)
    assert indices == [row * 7 + column for row in range(7) for column in columns]
