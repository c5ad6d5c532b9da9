"""Origins of weights that others trained, one file each in `origins/`: a module reads the tensors of a network."""

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from whole_in_parts.config.origin import OriginConfig

FOLDER = Path("weights")
"""Where files are put that the origins would download otherwise."""


class Released(NamedTuple):
    """The tensors of a network and of its projector, by their names in the modules that they are loaded into.

    `mean` and `std` are those by which the network's input is normalised; None if the origin does not say.
    """

    network: dict[str, Tensor]
    projector: dict[str, Tensor]
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None


def read(options: OriginConfig) -> Released:
    """Read the weights of the origin of the file `origins/{options.name}.py`.

    Raises:
        Failure: they cannot be had, are damaged, or are not those that the options describe.
    """
    released: Released = importlib.import_module(f"whole_in_parts.models.origins.{options.name}").read(options)
    return released
