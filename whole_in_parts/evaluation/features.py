"""Features of a split: made by a backbone, kept in a memory-mappable Arrow file of key, label and representations.

A representation is `whole` (the global one), `patch` (the pooled mean that the layers after the map start from:
CO-SSL, section 4.1) or `layer_1` … `layer_N` (the mean of that map over its positions: CO-SSL, Table 10).

Shapes: N images of a split, B of a batch, D features.
"""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.data.shards import Images
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone, Representations
from whole_in_parts.progress import progress

BATCH = 500
WHOLE, PATCH, LAYER = "whole", "patch", "layer_"


class Features(NamedTuple):
    """Keys, labels (N,) and one representation (N, D) of a split."""

    keys: list[str]
    labels_N: Tensor
    features_ND: Tensor


def batches(
    images: Images, indices: NDArray[np.int64], device: torch.device, what: str, size: int | None = None
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Sample numbers (B,) and their images (B, C, S, S) in [0, 1], in the order of the numbers."""
    size = size or BATCH
    for start in progress(range(0, len(indices), size), what, unit="batch"):
        some = indices[start : start + size]
        yield some, images[some].to(device).float() / 255


def offered(backbone: Backbone) -> list[str]:
    """The names of the representations that a backbone has."""
    return [WHOLE, PATCH, *[f"{LAYER}{number + 1}" for number in range(len(backbone.widths))]]


def require(backbone: Backbone, names: Iterable[str]) -> None:
    """
    Raises:
        Failure: the backbone has no representation of some name.
    """
    allowed = offered(backbone)
    for name in names:
        if name not in allowed:
            raise Failure(f"extract.representations: the backbone has no {name}; it has: {', '.join(allowed)}")


def representation(given: Representations, name: str) -> Tensor:
    """One representation (B, D) of a batch, by its name."""
    if name == WHOLE:
        return given.global_BD
    if name == PATCH:
        return given.pooled_BC
    return given.maps[int(name.removeprefix(LAYER)) - 1].mean((2, 3))


def represent(
    backbone: Backbone, images: Images, names: Iterable[str], device: torch.device, what: str
) -> Iterator[dict[str, Tensor]]:
    """The representations (B, D) of all images by their names, a batch at a time; any classifier may learn from them.

    Tensors that are made in inference mode could not be saved for a backward pass: so there is only no gradient.
    """
    for _, images_BCHW in batches(images, np.arange(len(images)), device, what):
        with torch.no_grad():
            given = backbone(images_BCHW)
            found = {name: representation(given, name).cpu() for name in names}
        yield found


def features(backbone: Backbone, images: Images, device: torch.device, what: str) -> Features:
    """The global representation of every image."""
    found = [batch[WHOLE] for batch in represent(backbone, images, [WHOLE], device, what)]
    return Features(images.shards.keys, torch.from_numpy(images.shards.labels), torch.cat(found))


def write(keys: list[str], labels_N: Tensor, made: Iterable[Mapping[str, Tensor]], file: Path) -> None:
    """Write features as an Arrow file, each batch as it comes: no more than one is held.

    Raises:
        Failure: there is nothing to write.
    """
    tables = rows(keys, labels_N, made)
    if (first := next(tables, None)) is None:
        raise Failure(f"{file.name}: the split has no images")
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def rows(keys: list[str], labels_N: Tensor, made: Iterable[Mapping[str, Tensor]]) -> Iterator[pa.Table]:
    """A table for each batch: key, label and a list of numbers for each representation."""
    start = 0
    for batch in made:
        end = start + len(next(iter(batch.values())))
        columns = {"key": pa.array(keys[start:end]), "label": pa.array(labels_N[start:end].numpy())}
        for name, x_BD in batch.items():
            columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(x_BD.numpy().ravel()), x_BD.shape[1])
        yield pa.table(columns)
        start = end


def names(file: Path) -> list[str]:
    """The representations that a file has."""
    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).schema.names[2:]


def read(file: Path, name: str = WHOLE) -> Features:
    """Read one representation of what `write` wrote; the others stay on disk."""
    with pa.memory_map(str(file)) as source:
        table = pa.ipc.open_file(source).read_all()
    column = table[name]
    values = np.concatenate([chunk.flatten().to_numpy() for chunk in column.chunks]).reshape(len(column), -1)
    return Features(table["key"].to_pylist(), torch.tensor(table["label"].to_numpy()), torch.from_numpy(values))


def splits(folder: Path, name: str = WHOLE) -> tuple[Features, Features]:
    """One representation of the training and of the test split.

    Raises:
        Failure: the test split has labels that the training split has not.
    """
    train, test = (read(folder / f"{split}.arrow", name) for split in ("train", "test"))
    if unknown := sorted(set(test.labels_N.tolist()) - set(train.labels_N.tolist())):
        raise Failure(f"{folder}: the label spaces differ: no training sample has label {', '.join(map(str, unknown))}")
    return train, test
