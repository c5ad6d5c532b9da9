"""Find the nearest neighbours of patches, in the embedding and in the projection (I²-VICReg, section 5 and Figure 4).

Patches are cropped as in `bag`; with scale and ratio of 1 they are whole images. Every patch is a query, and its
neighbours, by cosine, are patches of other images. As in the paper, they may be of the query's own image too
(`own_image`), of which the nearest are mostly shifted copies, and of training images (`split`).

`same_class_<space>` is the share of the neighbours in other images that have the query's class, in per cent.
`neighbours.parquet` has every query with its neighbours and their boxes (top, left, height, width, in pixels at the
run's image size). `neighbours.png` shows `shown` queries; neighbours of the query's class have a green frame. A method
without a projector has the embedding alone. Shapes: N images, B of a batch, M patches, P of an image, K neighbours,
D dimensions, F values of a patch.
"""

from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.augment.randomness import stratified
from whole_in_parts.config.analyses.neighbours import NeighboursConfig
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.evaluation import nearest_neighbours
from whole_in_parts.evaluation.analyses._patches import (
    crop_patch,
    embed_in_spaces,
    evenly_spaced,
    sort_by_class,
    space_widths,
    to_unit_range,
)
from whole_in_parts.evaluation.analyses._pictures import INK, QUERY, SAME, draw_frame, hide_axes, save_png, to_pixels
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.evaluation.features import iter_rows
from whole_in_parts.failure import Failure

BATCH = 64
INCH, GAP, TILE = 0.62, 0.5, 0.92
"""Layout of the figure: the side of a cell in inches; the gap between groups and the side of a patch in cells."""


class Bank(NamedTuple):
    """The patches, sorted by image: indices of their images (M,), their positions within the image (M,), labels (M,),
    boxes (M, 4), and unit vectors (M, D) in each space.
    """

    images_M: NDArray[np.int64]
    positions_M: NDArray[np.int64]
    labels_M: Tensor
    boxes_M4: Tensor
    spaces: dict[str, Tensor]


class Neighbours(NamedTuple):
    """The neighbours of each patch, nearest first: cosines (M, K) and indices of patches (M, K)."""

    similarity_MK: Tensor
    indices_MK: Tensor


@torch.no_grad()
def measure(context: AnalysisContext, options: NeighboursConfig) -> dict[str, float]:
    """Compute the shares of neighbours of the same class, and write `neighbours.parquet` and `neighbours.png`."""
    context = select_split(context, options)
    available = (len(context.indices) - 1) * options.patches
    if options.neighbours > available:
        raise Failure(
            f"analysis.neighbours: {options.neighbours} of each patch, and other images have {available} patches"
        )

    bank = build_bank(context, options)
    if not is_rank_zero():
        return {}

    others = {space: nearest(x_MD, bank.images_M, options) for space, x_MD in bank.spaces.items()}
    neighbours = others
    if options.own_image:
        patches_M = np.arange(len(bank.images_M))
        neighbours = {space: nearest(x_MD, patches_M, options) for space, x_MD in bank.spaces.items()}
    pq.write_table(neighbour_table(context, bank, neighbours), context.directory / "neighbours.parquet")
    save_png(plot(context, bank, neighbours, options), context.directory / "neighbours.png")

    labels_M1 = bank.labels_M[:, None]
    same = {space: bank.labels_M[result.indices_MK] == labels_M1 for space, result in others.items()}
    return {f"same_class_{space}": 100 * same_MK.double().mean().item() for space, same_MK in same.items()}


def select_split(context: AnalysisContext, options: NeighboursConfig) -> AnalysisContext:
    """Put about as many training images, always the same, in the place of the test images, if the options say so."""
    if options.split == "test":
        return context
    indices = stratified(context.train.shards.labels, len(context.indices), "neighbours")
    return context._replace(test=context.train, indices=indices)


def build_bank(context: AnalysisContext, options: NeighboursConfig) -> Bank:
    """Crop and embed the patches of the images, sorted by class; processes share the images (a collective)."""
    indices = sort_by_class(context)
    widths = space_widths(context)

    def compute(batch_indices: NDArray[np.int64], images_BCHW: Tensor) -> Tensor:
        patches = [crop_patch(images_BCHW, batch_indices, options, number) for number in range(options.patches)]
        rows = [torch.cat([*embed_in_spaces(context, view_BCSS).values(), box_B4], 1) for view_BCSS, box_B4 in patches]
        return torch.stack(rows, 1)

    rows_NPF = torch.cat(list(iter_rows(compute, context.test, indices, context.device, "patches", BATCH)))
    # All patches of an image are consecutive.
    *vectors, box_M4 = rows_NPF.flatten(0, 1).split([*widths.values(), 4], 1)
    images_M = indices.repeat(options.patches)
    return Bank(
        images_M,
        np.tile(np.arange(options.patches), len(indices)),
        torch.from_numpy(context.test.shards.labels[images_M]),
        box_M4.int(),
        dict(zip(widths, vectors, strict=True)),
    )


def nearest(x_MD: Tensor, groups_M: NDArray[np.int64], options: NeighboursConfig) -> Neighbours:
    """Find the nearest patches of other groups: of other images, or all other patches if each is a group."""
    chunks = nearest_neighbours.split_queries(x_MD, len(x_MD))
    # Search for more neighbours, by the patches of an image, so that enough remain without those of the query's group.
    k = min(options.neighbours + options.patches, len(x_MD))
    similarity_MK, indices_MK = nearest_neighbours.nearest(x_MD, torch.arange(len(x_MD)), chunks, k)

    # Move the patches of the query's group to the end.
    groups = torch.from_numpy(groups_M)
    own_MK = groups[indices_MK] == groups[:, None]
    similarity_MK, order_MK = similarity_MK.masked_fill(own_MK, -torch.inf).sort(dim=1, descending=True, stable=True)
    return Neighbours(similarity_MK[:, : options.neighbours], indices_MK.gather(1, order_MK)[:, : options.neighbours])


def neighbour_table(context: AnalysisContext, bank: Bank, neighbours: dict[str, Neighbours]) -> pa.Table:
    """Build a table with a row for each neighbour of each patch in each space."""
    keys = np.array([context.test.shards.keys[index] for index in bank.images_M])
    tables = []
    for space, (similarity_MK, indices_MK) in neighbours.items():
        patches, count = indices_MK.shape
        queries = torch.arange(patches).repeat_interleave(count)
        matches = indices_MK.flatten()
        columns = {
            "space": pa.array([space] * len(matches)),
            "query": pa.array(keys[queries.numpy()]),
            "query_box": box_column(bank.boxes_M4[queries]),
            "rank": pa.array(np.tile(np.arange(1, count + 1), patches)),
            "neighbour": pa.array(keys[matches.numpy()]),
            "neighbour_box": box_column(bank.boxes_M4[matches]),
            "similarity": pa.array(similarity_MK.flatten().numpy()),
        }
        tables.append(pa.table(columns))
    return pa.concat_tables(tables)


def box_column(box_N4: Tensor) -> pa.Array:
    """Convert boxes to a column of lists of four numbers."""
    return pa.FixedSizeListArray.from_arrays(pa.array(box_N4.flatten().numpy()), 4)


def plot(context: AnalysisContext, bank: Bank, neighbours: dict[str, Neighbours], options: NeighboursConfig) -> Figure:
    """Plot a row for each shown query: the query, and its neighbours in each space, nearest first."""
    queries = evenly_spaced(bank.images_M, options.shown)
    width = 1 + len(neighbours) * (options.neighbours + GAP)
    height = len(queries) + GAP
    figure = Figure(figsize=(width * INCH, height * INCH))
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))

    for row, query in enumerate(queries):
        draw_patch(axes, context, bank, query, (0, row), options)
        draw_frame(axes, (0, row, TILE, TILE), QUERY, "--")
        for group, result in enumerate(neighbours.values()):
            left = 1 + GAP + group * (options.neighbours + GAP)
            for rank, match in enumerate(result.indices_MK[query].tolist()):
                draw_patch(axes, context, bank, match, (left + rank, row), options)
                if bank.labels_M[match] == bank.labels_M[query]:
                    draw_frame(axes, (left + rank, row, TILE, TILE), SAME)

    draw_titles(axes, [f"nearest in the {space}" for space in neighbours], options)
    hide_axes(axes)
    axes.set(xlim=(-0.05, width), ylim=(len(queries), -GAP), aspect="equal")
    return figure


def draw_titles(axes: Axes, titles: list[str], options: NeighboursConfig) -> None:
    """Draw the title of the queries and that of each group of neighbours."""
    axes.text(0, -0.15, "query", fontsize=8, color=INK)
    for group, text in enumerate(titles):
        axes.text(1 + GAP + group * (options.neighbours + GAP), -0.15, text, fontsize=8, color=INK)


def draw_patch(
    axes: Axes, context: AnalysisContext, bank: Bank, patch: int, corner: tuple[float, float], options: NeighboursConfig
) -> None:
    """Draw a patch with its left and top at `corner`; it is cropped again rather than kept in the bank."""
    index = bank.images_M[patch : patch + 1]
    images_BCHW = to_unit_range(context.test[index], context.device)
    views_BCHW, _ = crop_patch(images_BCHW, index, options, int(bank.positions_M[patch]))
    left, top = corner
    axes.imshow(to_pixels(views_BCHW[0]), extent=(left, left + TILE, top + TILE, top))
