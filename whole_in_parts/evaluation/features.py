"""Features of a split: extracted by a backbone, stored in a memory-mappable Arrow file of key, label, representations.

A representation is `global`, `patch` (the pooled local map that the backbone's last layers start from:
CO-SSL, section 4.1), `global_patch` (both, joined), `layer_1` … `layer_N` (the mean over positions of the map of a
stage: CO-SSL, Table 10) or `class_tokens_1` … `class_tokens_N` (the class tokens of so many last blocks, joined: DINO;
`docs/methods.md` E.2).

Shapes: N images of a split, B of a batch, D features.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from whole_in_parts.data.shards import Images
from whole_in_parts.distributed.environment import is_rank_zero
from whole_in_parts.distributed.sharing import share_rows
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone, Representations

BATCH = 500
GLOBAL, PATCH, BOTH, LAYER, CLASS_TOKENS = "global", "patch", "global_patch", "layer_", "class_tokens_"


class Features(NamedTuple):
    """Keys, labels (N,) and a representation (N, D) of the samples of a split."""

    keys: list[str]
    labels_N: Tensor
    features_ND: Tensor


def iter_rows(
    compute: Callable[[NDArray[np.int64], Tensor], Tensor],
    images: Images,
    indices: NDArray[np.int64],
    device: torch.device,
    title: str,
    batch_size: int | None = None,
) -> Iterator[Tensor]:
    """Yield what is computed of the images, a row (B, …) for each, in the order of `indices`, on the CPU.

    All processes share the images of each batch and get all rows (a collective; `distributed/sharing.py`).

    Args:
        compute: maps sample indices (B,) and their images (B, C, S, S) in [0, 1] to rows (B, …).
        images: the images of a split.
        indices: the samples to evaluate.
        device: the device of the images that `compute` is given.
        title: the title of the progress bar.
        batch_size: the most images in a batch of one process, `BATCH` if left out.
    """

    def compute_rows(own: NDArray[np.int64]) -> Tensor:
        return compute(own, images[own].to(device).float() / 255)

    return share_rows(compute_rows, indices, batch_size or BATCH, title)


def representation_names(backbone: Backbone) -> list[str]:
    """List the names of the representations that a backbone has."""
    layers = [f"{LAYER}{number + 1}" for number in range(len(backbone.widths))]
    class_tokens = [f"{CLASS_TOKENS}{number + 1}" for number in range(backbone.class_tokens)]
    return [GLOBAL, PATCH, BOTH, *layers, *class_tokens]


def require_representations(backbone: Backbone, names: Iterable[str], key: str = "extract.representations") -> None:
    """Check that a backbone has the named representations.

    Raises:
        Failure: the backbone lacks a named representation.
    """
    allowed = representation_names(backbone)
    for name in names:
        if name not in allowed:
            raise Failure(f"{key}: the backbone has no {name}; it has: {', '.join(allowed)}")


def select_representation(representations: Representations, name: str) -> Tensor:
    """Select a representation (B, D) of a batch by its name."""
    if name == GLOBAL:
        return representations.global_BD
    if name == PATCH:
        return representations.pooled_BC
    if name == BOTH:
        return torch.cat([representations.global_BD, representations.pooled_BC], 1)
    if name.startswith(CLASS_TOKENS):
        return torch.cat(representations.class_tokens[-int(name.removeprefix(CLASS_TOKENS)) :], 1)
    return representations.maps[int(name.removeprefix(LAYER)) - 1].mean((2, 3))


def iter_representations(
    backbone: Backbone, images: Images, names: Iterable[str], device: torch.device, title: str
) -> Iterator[dict[str, Tensor]]:
    """Yield the named representations (B, D) of all images, batch by batch, on the CPU; processes share the images."""
    names = list(names)
    widths: list[int] = []

    # Not inference mode: classifiers train on these tensors, and autograd cannot save inference tensors.
    @torch.no_grad()
    def compute(_: NDArray[np.int64], images_BCHW: Tensor) -> Tensor:
        representations = backbone(images_BCHW)
        selected = [select_representation(representations, name) for name in names]
        widths[:] = [x_BD.shape[1] for x_BD in selected]
        return torch.cat(selected, 1)

    for rows_BD in iter_rows(compute, images, np.arange(len(images)), device, title):
        yield dict(zip(names, rows_BD.split(widths, 1), strict=True))


def extract_features(backbone: Backbone, images: Images, device: torch.device, title: str) -> Features:
    """Extract the global representation of every image."""
    features = [batch[GLOBAL] for batch in iter_representations(backbone, images, [GLOBAL], device, title)]
    return Features(images.shards.keys, torch.from_numpy(images.shards.labels), torch.cat(features))


def write(keys: list[str], labels_N: Tensor, batches: Iterable[Mapping[str, Tensor]], file: Path) -> None:
    """Write representations to an Arrow file, batch by batch, so that memory holds a single batch (a collective).

    Rank zero writes; other processes compute their part of the batches.

    Raises:
        Failure: there are no batches.
    """
    if not is_rank_zero():
        deque(batches, maxlen=0)
        return
    tables = _tables(keys, labels_N, batches)
    if (first := next(tables, None)) is None:
        raise Failure(f"{file.name}: the split has no images")
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, first.schema) as writer:
        for table in chain([first], tables):
            writer.write_table(table)


def _tables(keys: list[str], labels_N: Tensor, batches: Iterable[Mapping[str, Tensor]]) -> Iterator[pa.Table]:
    """Yield a table for each batch, with the columns key, label and a fixed-size list for each representation."""
    start = 0
    for batch in batches:
        end = start + len(next(iter(batch.values())))
        columns = {"key": pa.array(keys[start:end]), "label": pa.array(labels_N[start:end].numpy())}
        for name, x_BD in batch.items():
            columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(x_BD.numpy().reshape(-1)), x_BD.shape[1])
        yield pa.table(columns)
        start = end


def stored_names(file: Path) -> list[str]:
    """List the representations in a file that `write` made."""
    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).schema.names[2:]


def read_labels(file: Path) -> NDArray[np.int64]:
    """Read the labels (N,) from a file that `write` made; the representations stay on disk."""
    with pa.memory_map(str(file)) as source:
        return pa.ipc.open_file(source).read_all()["label"].to_numpy()


def read(file: Path, name: str = GLOBAL) -> Features:
    """Read a representation from a file that `write` made; the other representations stay on disk."""
    with pa.memory_map(str(file)) as source:
        table = pa.ipc.open_file(source).read_all()
    column = table[name]
    values = np.concatenate([chunk.flatten().to_numpy() for chunk in column.chunks]).reshape(len(column), -1)
    return Features(table["key"].to_pylist(), torch.tensor(table["label"].to_numpy()), torch.from_numpy(values))


def read_splits(folder: Path, name: str = GLOBAL) -> tuple[Features, Features]:
    """Read a representation of the training and of the test split.

    Raises:
        Failure: a label of the test split is missing from the training split.
    """
    train, test = (read(folder / f"{split}.arrow", name) for split in ("train", "test"))
    if unknown := sorted(set(test.labels_N.tolist()) - set(train.labels_N.tolist())):
        raise Failure(f"{folder}: the label spaces differ: no training sample has label {', '.join(map(str, unknown))}")
    return train, test
