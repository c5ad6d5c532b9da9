"""Features of a split: made by a backbone, kept in a memory-mappable Arrow file of key, label and features."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import torch
from numpy.typing import NDArray
from torch import Tensor

from stages.backbones import Backbone
from stages.images.shards import Images
from stages.program import progress

BATCH = 500


class Features(NamedTuple):
    """Keys, labels (N,) and features (N, D) of a split."""

    keys: list[str]
    labels_N: Tensor
    features_ND: Tensor


def batches(
    images: Images, numbers: NDArray[np.int64], device: torch.device, what: str
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Sample numbers (B,) and their images (B, C, S, S) in [0, 1], in the order of the numbers."""
    for start in progress(range(0, len(numbers), BATCH), what, unit="batch"):
        some = numbers[start : start + BATCH]
        yield some, images[some].to(device).float() / 255


@torch.inference_mode()
def features(backbone: Backbone, images: Images, device: torch.device, what: str) -> Features:
    """The global representation of every image."""
    every = np.arange(len(images))
    whole_ND = torch.cat([backbone(batch).whole_BD.cpu() for _, batch in batches(images, every, device, what)])
    return Features(images.shards.keys, torch.from_numpy(images.shards.labels), whole_ND)


def write(content: Features, file: Path) -> None:
    """Write features as an Arrow file."""
    width = content.features_ND.shape[1]
    column = pa.FixedSizeListArray.from_arrays(pa.array(content.features_ND.numpy().ravel()), width)
    table = pa.table({"key": content.keys, "label": content.labels_N.numpy(), "features": column})
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def read(file: Path) -> Features:
    """Read what `write` wrote; the features stay where they are on disk until they are used."""
    with pa.memory_map(str(file)) as source:
        table = pa.ipc.open_file(source).read_all()
    column = table["features"].combine_chunks()
    values = column.flatten().to_numpy().reshape(len(column), -1)
    return Features(table["key"].to_pylist(), torch.tensor(table["label"].to_numpy()), torch.tensor(values))
