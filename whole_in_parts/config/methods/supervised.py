"""Options of the method `supervised` (`methods/supervised.py`)."""

from typing import Literal

from whole_in_parts.config.method import MethodConfig


class SupervisedConfig(MethodConfig):
    """Supervised training: cross-entropy on the labels."""

    name: Literal["supervised"]
    """Selects supervised training."""
