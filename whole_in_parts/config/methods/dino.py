"""Options of the method `dino` (`methods/dino.py`)."""

from typing import Literal

from whole_in_parts.config.method import DistillationConfig


class DinoConfig(DistillationConfig):
    """DINO matches the student's and the teacher's distributions over prototypes."""

    name: Literal["dino"]
    """Selects DINO."""
    keep: Literal["online", "target"] = "target"
    """The network whose weights are kept as the result: the teacher (`target`) or the student (`online`)."""
