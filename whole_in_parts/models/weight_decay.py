"""Weight decay: which parameters decay."""

from collections.abc import Iterable
from typing import Any

from torch import nn


def parameter_groups(parameters: Iterable[nn.Parameter], weight_decay: float, decays_1d: bool) -> list[dict[str, Any]]:
    """The two parameter groups of an optimizer: the first has weight decay (`decays`), the second has none.

    Biases and norms, which have one dimension, decay if `decays_1d`.
    """
    parameters = list(parameters)
    decayed = [parameter for parameter in parameters if decays_1d or parameter.ndim > 1]
    kept = [parameter for parameter in parameters if not decays_1d and parameter.ndim <= 1]
    return [
        {"params": decayed, "weight_decay": weight_decay, "decays": True},
        {"params": kept, "weight_decay": 0.0, "decays": False},
    ]
