"""Options of the source `torchvision` (`data/sources/torchvision.py`)."""

from pathlib import Path
from typing import ClassVar, Literal, Self

from pydantic import model_validator

from whole_in_parts.config.section import Name
from whole_in_parts.config.source import Resize, SourceConfig


class TorchvisionConfig(SourceConfig):
    """A class of `torchvision.datasets` that can download itself."""

    validation_splits: ClassVar[dict[str, str]] = {
        "Country211": "valid",
        "DTD": "val",
        "FGVCAircraft": "val",
        "Flowers102": "val",
        "PCAM": "val",
        "RenderedSST2": "val",
    }
    """What torchvision calls the validation split, of the datasets that have one beside train and test."""

    name: Literal["torchvision"]
    """Selects a torchvision dataset."""
    dataset: Name
    """The class's name, such as CIFAR10 or STL10."""
    path: Path | None = None
    """A folder with a downloaded copy, laid out as torchvision expects; if left out, torchvision downloads it."""
    validation: Literal["train", "test", "unused"] | None = None
    """What the validation images are, of a dataset that has some beside train and test: a part of `train`, `test` in
    place of the test images, or `unused`. Datasets that have some need it; others leave it out."""
    unlabelled: bool = False
    """Also pack the images without labels, which STL10 alone has, as the split `unlabelled` that runs may train on."""
    resize: Resize | None = None
    """Shrink large images when they are packed; the fetched files stay unchanged."""

    @model_validator(mode="after")
    def validation_images_have_a_split(self) -> Self:
        if self.dataset in self.validation_splits and self.validation is None:
            raise ValueError(
                f"validation: {self.dataset} has validation images beside train and test; say what they are: train, "
                "test or unused"
            )
        if self.dataset not in self.validation_splits and self.validation is not None:
            datasets = ", ".join(self.validation_splits)
            raise ValueError(
                f"validation: {self.dataset} has no such images beside train and test; these have: {datasets}"
            )
        return self

    @model_validator(mode="after")
    def unlabelled_images_exist(self) -> Self:
        if self.unlabelled and self.dataset != "STL10":
            raise ValueError(
                f"unlabelled: {self.dataset} has no images without labels; of torchvision, STL10 alone has"
            )
        return self
