"""Options of the method `tcr` (`methods/tcr.py`)."""

from typing import Literal

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.section import NotNegative, Positive


class TCRConfig(JointEmbeddingConfig):
    """`epsilon` is what the formula calls ε²; `invariance` is λ."""

    name: Literal["tcr"]
    epsilon: Positive = 0.2
    invariance: NotNegative = 30.0
