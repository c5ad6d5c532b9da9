"""What lies nearest to a patch, in the embedding and in the projection (I²-VICReg, section 5 and Figure 4).

Patches are crops as of `bag`; with scale and ratio of 1 they are the whole images. Each is a query in turn: its
neighbours, by cosine, are among the patches of all other images. The paper leaves those of its own image in, of which
the nearest are mostly shifted copies.

`same_class_<space>` is the share of the neighbours that are of the query's class, in per cent. `neighbours.parquet`
has every query with its neighbours and their boxes (top, left, height, width, in pixels at the run's image size);
`neighbours.png` shows some, of the query's class in a green frame. A method without a projector has the embedding
alone. Shapes: M patches, K neighbours, D dimensions, B images.
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

from whole_in_parts.config.analyses.neighbours import NeighboursConfig
from whole_in_parts.evaluation import nearest_neighbours
from whole_in_parts.evaluation.analyses._patches import by_class, patches, spaces, spread
from whole_in_parts.evaluation.analyses._pictures import INK, QUERY, SAME, bare, frame, pixels, save
from whole_in_parts.evaluation.analysis import AnalysisContext
from whole_in_parts.failure import Failure
from whole_in_parts.progress import progress

BATCH = 64
INCH, GAP, TILE = 0.62, 0.5, 0.92
"""Of the picture: the side of a place in inches, the gap between its parts and the side of a patch in places."""


class Bank(NamedTuple):
    """The patches, image after image: the numbers of their images (M,), their places among those of their image (M,),
    labels (M,), boxes (M, 4), and unit vectors (M, D) in each space.
    """

    images_M: NDArray[np.int64]
    places_M: NDArray[np.int64]
    labels_M: Tensor
    boxes_M4: Tensor
    spaces: dict[str, Tensor]


class Nearest(NamedTuple):
    """Of each patch, the nearest first: cosines (M, K) and which patches they are (M, K)."""

    similarity_MK: Tensor
    which_MK: Tensor


@torch.no_grad()
def measure(context: AnalysisContext, options: NeighboursConfig) -> dict[str, float]:
    there = (len(context.indices) - 1) * options.patches
    if options.neighbours > there:
        raise Failure(f"analysis.neighbours: {options.neighbours} of each patch, and other images have {there} patches")
    bank = collect(context, options)
    found = {space: nearest(x_MD, bank.images_M, options) for space, x_MD in bank.spaces.items()}
    pq.write_table(table(context, bank, found), context.directory / "neighbours.parquet")
    save(picture(context, bank, found, options), context.directory / "neighbours.png")
    labels_M1 = bank.labels_M[:, None]
    same = {space: bank.labels_M[each.which_MK] == labels_M1 for space, each in found.items()}
    return {f"same_class_{space}": 100 * same_MK.double().mean().item() for space, same_MK in same.items()}


def collect(context: AnalysisContext, options: NeighboursConfig) -> Bank:
    """Cut and embed the patches of the images, class after class."""
    indices, boxes, found = by_class(context), [], []
    for some in progress(np.array_split(indices, -(-len(indices) // BATCH)), "patches", unit="batch"):
        batch = patches(context.test, some, options, options.patches, context.device)
        boxes.append(torch.stack(batch.boxes, 1).flatten(0, 1))
        views = [spaces(context, view_BCSS) for view_BCSS in batch.views]
        found.append({space: torch.stack([view[space] for view in views], 1).flatten(0, 1) for space in views[0]})
    images_M = indices.repeat(options.patches)
    return Bank(
        images_M,
        np.tile(np.arange(options.patches), len(indices)),
        torch.from_numpy(context.test.shards.labels[images_M]),
        torch.cat(boxes).int(),
        {space: torch.cat([each[space] for each in found]) for space in found[0]},
    )


def nearest(x_MD: Tensor, images_M: NDArray[np.int64], options: NeighboursConfig) -> Nearest:
    """The nearest patches of other images; as many more as an image has are looked up first, to leave its own out."""
    chunks = nearest_neighbours.split_queries(x_MD, len(x_MD))
    wanted = options.neighbours + options.patches
    similarity_MK, which_MK = nearest_neighbours.nearest(x_MD, torch.arange(len(x_MD)), chunks, wanted)
    images = torch.from_numpy(images_M)
    own_MK = images[which_MK] == images[:, None]
    similarity_MK, order_MK = similarity_MK.masked_fill(own_MK, -torch.inf).sort(dim=1, descending=True, stable=True)
    return Nearest(similarity_MK[:, : options.neighbours], which_MK.gather(1, order_MK)[:, : options.neighbours])


def table(context: AnalysisContext, bank: Bank, found: dict[str, Nearest]) -> pa.Table:
    """A row for each neighbour of each patch in each space."""
    keys = np.array([context.test.shards.keys[number] for number in bank.images_M])
    parts = []
    for space, (similarity_MK, which_MK) in found.items():
        (queries, count), which = which_MK.shape, which_MK.flatten()
        asked = torch.arange(queries).repeat_interleave(count)
        columns = {
            "space": pa.array([space] * len(which)),
            "query": pa.array(keys[asked.numpy()]),
            "query_box": boxes(bank.boxes_M4[asked]),
            "rank": pa.array(np.tile(np.arange(1, count + 1), queries)),
            "neighbour": pa.array(keys[which.numpy()]),
            "neighbour_box": boxes(bank.boxes_M4[which]),
            "similarity": pa.array(similarity_MK.flatten().numpy()),
        }
        parts.append(pa.table(columns))
    return pa.concat_tables(parts)


def boxes(box_N4: Tensor) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(box_N4.flatten().numpy()), 4)


def picture(context: AnalysisContext, bank: Bank, found: dict[str, Nearest], options: NeighboursConfig) -> Figure:
    """A row for each query that is shown: the query, and its neighbours in each space, the nearest first."""
    queries = spread(bank.images_M, options.shown)
    size = 1 + len(found) * (options.neighbours + GAP), len(queries) + GAP
    figure = Figure(figsize=(size[0] * INCH, size[1] * INCH))
    axes = figure.add_axes((0.01, 0.01, 0.98, 0.98))
    for row, query in enumerate(queries):
        tile(axes, context, bank, query, (0, row), options)
        frame(axes, (0, row, TILE, TILE), QUERY, "--")
        for turn, each in enumerate(found.values()):
            left = 1 + GAP + turn * (options.neighbours + GAP)
            for rank, which in enumerate(each.which_MK[query].tolist()):
                tile(axes, context, bank, which, (left + rank, row), options)
                if bank.labels_M[which] == bank.labels_M[query]:
                    frame(axes, (left + rank, row, TILE, TILE), SAME)
    title(axes, [f"nearest in the {space}" for space in found], options)
    bare(axes)
    axes.set(xlim=(-0.05, size[0]), ylim=(len(queries), -GAP), aspect="equal")
    return figure


def title(axes: Axes, titles: list[str], options: NeighboursConfig) -> None:
    axes.text(0, -0.15, "query", fontsize=8, color=INK)
    for turn, text in enumerate(titles):
        axes.text(1 + GAP + turn * (options.neighbours + GAP), -0.15, text, fontsize=8, color=INK)


def tile(
    axes: Axes, context: AnalysisContext, bank: Bank, which: int, at: tuple[float, float], options: NeighboursConfig
) -> None:
    """Draw a patch, cut once more."""
    views = patches(context.test, bank.images_M[which : which + 1], options, options.patches, context.device).views
    left, top = at
    axes.imshow(pixels(views[bank.places_M[which]][0]), extent=(left, left + TILE, top + TILE, top))
