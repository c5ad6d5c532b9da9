"""Options of the source `fashion_mnist` (`data/sources/fashion_mnist.py`)."""

from typing import Literal

from whole_in_parts.config.section import Sha256
from whole_in_parts.config.source import SourceConfig


class FashionMNISTConfig(SourceConfig):
    """Fashion-MNIST, from the Debian package where apt is available, otherwise through torchvision."""

    name: Literal["fashion_mnist"]
    """Selects Fashion-MNIST."""
    sha256: Sha256
    """Expected sha256 of the four IDX files in order, 64 hexadecimal digits."""
