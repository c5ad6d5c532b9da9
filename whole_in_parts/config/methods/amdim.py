"""Options of the method `amdim` (`methods/amdim.py`)."""

from typing import Literal

from whole_in_parts.config.method import MethodConfig, Widths
from whole_in_parts.config.section import Count


class AMDIMConfig(MethodConfig):
    """The maps to tell by: a shallow and a deep one, counted from 1, and the sides that they are brought to."""

    name: Literal["amdim"]
    projector: Widths
    layers: tuple[Count, Count]
    sides: tuple[Count, Count]
