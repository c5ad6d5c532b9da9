"""Options of the method `random` (`methods/random.py`)."""

from typing import Literal

from whole_in_parts.config.method import MethodConfig


class RandomConfig(MethodConfig):
    """No training: `epochs` is 0."""

    modifiable = False
    name: Literal["random"]
