"""Options of the source `torchvision` (`data/sources/torchvision.py`)."""

from pathlib import Path
from typing import Literal

from whole_in_parts.config.section import Name
from whole_in_parts.config.source import Resize, SourceConfig


class TorchvisionConfig(SourceConfig):
    """A class of `torchvision.datasets` that can download itself, by its name, such as CIFAR10 or STL10.

    `path` is the folder that torchvision is to find one in that you have downloaded yourself; `resize` as for `folder`.
    """

    name: Literal["torchvision"]
    dataset: Name
    path: Path | None = None
    resize: Resize | None = None
