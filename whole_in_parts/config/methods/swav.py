"""Options of the method `swav` (`methods/swav.py`)."""

from typing import Annotated, Literal

from pydantic import Field

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.section import Count, NotNegative, Positive


class SwAVConfig(JointEmbeddingConfig):
    """`frozen_epochs` is how long the prototypes stay; `queue` is how many embeddings help to balance a small batch."""

    name: Literal["swav"]
    prototypes: Count
    temperature: Positive = 0.1
    epsilon: Positive = 0.05
    iterations: Count = 3
    frozen_epochs: NotNegative = 1.0
    queue: Annotated[int, Field(ge=0)] = 0
    queue_from_epoch: NotNegative = 15.0
