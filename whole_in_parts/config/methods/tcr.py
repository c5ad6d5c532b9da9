"""Options of the method `tcr` (`methods/tcr.py`)."""

from typing import Literal

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.section import NotNegative, Positive


class TCRConfig(JointEmbeddingConfig):
    """TCR maximises the total coding rate of a batch while the embeddings of two views agree."""

    name: Literal["tcr"]
    """Selects TCR."""
    epsilon: Positive = 0.2
    """The formula's ε², the allowed distortion."""
    invariance: NotNegative = 30.0
    """The formula's λ, the weight of the agreement of the views."""
