"""Options of the method `simsiam` (`methods/simsiam.py`)."""

from typing import Literal

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.section import Count


class SimSiamConfig(JointEmbeddingConfig):
    """`predictor` is the width of the predictor's hidden layer."""

    name: Literal["simsiam"]
    predictor: Count
