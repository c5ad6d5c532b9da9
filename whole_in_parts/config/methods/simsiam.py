"""Options of the method `simsiam` (`methods/simsiam.py`)."""

from typing import Literal

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.section import Count


class SimSiamConfig(JointEmbeddingConfig):
    """SimSiam predicts the embedding of the other view, with a stopped gradient and without a target network."""

    name: Literal["simsiam"]
    """Selects SimSiam."""
    predictor: Count
    """Width of the hidden layer of the predictor."""
    constant_predictor_rate: bool = True
    """Train the predictor at the peak learning rate throughout, as the paper does; else by the run's schedule."""
