"""Weight decay: which parameters decay."""

from collections.abc import Iterable
from typing import Any

from torch import nn

DECAYED = 0
"""The index of the parameter group that decays."""


def parameter_groups(parameters: Iterable[nn.Parameter], weight_decay: float, decays_1d: bool) -> list[dict[str, Any]]:
    """The two parameter groups of an optimizer: with weight decay, and without.

    Biases and norms, which have one dimension, decay if `decays_1d`.
    """
    parameters = list(parameters)
    decayed = [parameter for parameter in parameters if decays_1d or parameter.ndim > 1]
    kept = [parameter for parameter in parameters if not decays_1d and parameter.ndim <= 1]
    return [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
