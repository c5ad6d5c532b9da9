"""Options of the source `torchvision` (`data/sources/torchvision.py`)."""

from pathlib import Path
from typing import Literal

from whole_in_parts.config.section import Name
from whole_in_parts.config.source import Resize, SourceConfig


class TorchvisionConfig(SourceConfig):
    """A class of `torchvision.datasets` that can download itself."""

    name: Literal["torchvision"]
    """Selects a torchvision dataset."""
    dataset: Name
    """The class's name, such as CIFAR10 or STL10."""
    path: Path | None = None
    """A folder with a downloaded copy, laid out as torchvision expects; if left out, torchvision downloads it."""
    resize: Resize | None = None
    """Shrink large images when they are packed; the fetched files stay unchanged."""
