"""Options of the source `digits` (`data/sources/digits.py`)."""

from typing import Literal

from whole_in_parts.config.section import Sha256
from whole_in_parts.config.source import SourceConfig


class DigitsConfig(SourceConfig):
    """The handwritten digits that scikit-learn ships."""

    name: Literal["digits"]
    """Selects scikit-learn's digits."""
    sha256: Sha256
    """Expected sha256 of the data, 64 hexadecimal digits."""
