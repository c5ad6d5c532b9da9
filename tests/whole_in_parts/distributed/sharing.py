"""A program for torchrun: what processes share is evaluated once, and comes in the order of the samples."""

from itertools import chain

import numpy as np
import torch

from whole_in_parts.distributed.collectives import gather_objects
from whole_in_parts.distributed.group import group
from whole_in_parts.distributed.sharing import share_rows, share_values

COUNTS = (0, 1, 2, 3, 6, 7, 20)
"""None, fewer than there are processes, as many, a batch of all, and more."""


def main() -> None:
    for count in COUNTS:
        evaluated: list[int] = []
        indices = np.arange(100, 100 + count)[::-1]

        def rows(own: np.ndarray, evaluated: list[int] = evaluated) -> torch.Tensor:
            assert 0 < len(own) <= 2
            evaluated += own.tolist()
            return torch.from_numpy(own * np.ones((3, 1), int)).T

        found = [row[0] for batch in share_rows(rows, indices, 2, "rows") for row in batch.tolist()]
        assert found == indices.tolist()
        assert sorted(chain.from_iterable(gather_objects(evaluated))) == sorted(indices.tolist())
        assert list(share_values(str, indices, 2, "values")) == [str(index) for index in indices]


if __name__ == "__main__":
    with group(torch.device("cpu")):
        main()
