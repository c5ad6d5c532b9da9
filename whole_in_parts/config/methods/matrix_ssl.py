"""Options of the method `matrix_ssl` (`methods/matrix_ssl.py`)."""

from typing import Literal

from whole_in_parts.config.method import TargetNetworkConfig
from whole_in_parts.config.section import Count, NotNegative, Positive


class MatrixSSLConfig(TargetNetworkConfig):
    """`predictor` is the width of the predictor's hidden layer; the constants are the paper's μ, λ and γ."""

    name: Literal["matrix_ssl"]
    predictor: Count
    mu: Positive = 1.0
    uniformity: NotNegative = 1.0
    alignment: NotNegative = 1.0
