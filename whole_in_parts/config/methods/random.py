"""Options of the method `random` (`methods/random.py`)."""

from typing import Literal

from whole_in_parts.config.method import MethodConfig


class RandomConfig(MethodConfig):
    """No pretraining: the initial weights; `epochs` is 0."""

    modifiable = False
    trains = False
    name: Literal["random"]
    """Selects random weights."""
