"""Options of the method `swav` (`methods/swav.py`)."""

from typing import Literal

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.section import Count, NotNegative, Positive, WholeNumber


class SwAVConfig(JointEmbeddingConfig):
    """SwAV predicts the cluster assignment of one view from the other view's embedding."""

    queued_views = 1
    name: Literal["swav"]
    """Selects SwAV."""
    prototypes: Count
    """Number of prototypes K."""
    temperature: Positive = 0.1
    """Temperature of the softmax over prototypes."""
    epsilon: Positive = 0.05
    """Entropy regularisation ε of Sinkhorn–Knopp."""
    iterations: Count = 3
    """Iterations of Sinkhorn–Knopp."""
    frozen_epochs: NotNegative = 1.0
    """Epochs at the start during which the prototypes are not updated."""
    queue: WholeNumber = 0
    """Earlier embeddings of each view that help to balance a small batch, a multiple of `batch_size`; 0 is no queue."""
    queue_from_epoch: NotNegative = 15.0
    """Epoch from which the queues are filled; a queue is used once it is full."""
