"""Options of the method `vicreg` (`methods/vicreg.py`)."""

from typing import Literal

from whole_in_parts.config.method import JointEmbeddingConfig
from whole_in_parts.config.section import NotNegative


class VICRegConfig(JointEmbeddingConfig):
    """VICReg: invariance, variance and covariance regularisation."""

    name: Literal["vicreg"]
    """Selects VICReg."""
    invariance: NotNegative = 25.0
    """Weight of the invariance term."""
    variance: NotNegative = 25.0
    """Weight of the variance term."""
    covariance: NotNegative = 1.0
    """Weight of the covariance term."""
