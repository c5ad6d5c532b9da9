"""Options of the method `matrix_ssl` (`methods/matrix_ssl.py`)."""

from typing import Literal

from whole_in_parts.config.method import TargetNetworkConfig
from whole_in_parts.config.section import Count, NotNegative, Positive


class MatrixSSLConfig(TargetNetworkConfig):
    """Matrix-SSL aligns covariance matrices by matrix cross-entropies."""

    name: Literal["matrix_ssl"]
    """Selects Matrix-SSL."""
    predictor: Count
    """Width of the hidden layer of the predictor."""
    mu: Positive = 1.0
    """The paper's μ, added to the diagonal of the covariance."""
    uniformity: NotNegative = 1.0
    """The paper's λ, the weight of the uniformity term."""
    alignment: NotNegative = 1.0
    """The paper's γ, the weight of the alignment term."""
