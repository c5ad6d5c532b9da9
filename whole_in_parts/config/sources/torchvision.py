"""Options of the source `torchvision` (`data/sources/torchvision.py`)."""

from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

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
    unlabelled: bool = False
    """Also pack the images without labels, which STL10 alone has, as the split `unlabelled` that runs may train on."""
    resize: Resize | None = None
    """Shrink large images when they are packed; the fetched files stay unchanged."""

    @model_validator(mode="after")
    def unlabelled_images_exist(self) -> Self:
        if self.unlabelled and self.dataset != "STL10":
            raise ValueError(
                f"unlabelled: {self.dataset} has no images without labels; of torchvision, STL10 alone has"
            )
        return self
