"""Options of the method `dino` (`methods/dino.py`)."""

from typing import Literal

from whole_in_parts.config.method import DistillationConfig


class DinoConfig(DistillationConfig):
    """`keep` is the network that is the result: the teacher is the target."""

    name: Literal["dino"]
    keep: Literal["online", "target"] = "target"
