"""Options of the method `vicreg` (`methods/vicreg.py`)."""

from typing import Literal

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.section import NotNegative


class VICRegConfig(JointEmbeddingConfig):
    """The weights of the three terms."""

    name: Literal["vicreg"]
    invariance: NotNegative = 25.0
    variance: NotNegative = 25.0
    covariance: NotNegative = 1.0
