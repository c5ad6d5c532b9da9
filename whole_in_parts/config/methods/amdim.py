"""Options of the method `amdim` (`methods/amdim.py`)."""

from typing import Literal

from whole_in_parts.config.method import MethodConfig, Widths
from whole_in_parts.config.section import Count


class AMDIMConfig(MethodConfig):
    """AMDIM contrasts global and local representations of two views; it uses a shallow and a deep feature map."""

    name: Literal["amdim"]
    """Selects AMDIM."""
    projector: Widths
    """Widths of the projectors' hidden layers, followed by the width of their output."""
    layers: tuple[Count, Count]
    """Indices of the shallow and the deep map of the backbone, counted from 1."""
    sides: tuple[Count, Count]
    """Sides that the two maps are resized to, in positions."""
