"""Options of the origin `file` (`models/origins/file.py`)."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from whole_in_parts.config.layout import NamedLayout
from whole_in_parts.config.origin import OriginConfig
from whole_in_parts.config.section import Sha256


class FileConfig(OriginConfig):
    """A file of weights: safetensors, or what `torch.save` writes. No code in it is run."""

    name: Literal["file"]
    """Selects a file."""
    path: Path
    """The file; relative to the package if one is named, else to the project."""
    package: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")] | None = None
    """The installed Python package that ships the file. It is not imported."""
    url: Annotated[str, Field(pattern=r"^https?://\S+$")] | None = None
    """Where the file is downloaded from if there is none at `path`."""
    sha256: Sha256
    """Expected sha256 of the file, 64 hexadecimal digits."""
    layout: NamedLayout
    """How the file names its tensors: the name of a published layout, or `prefix`, `rename` and the like."""

    @model_validator(mode="after")
    def one_place_is_named(self) -> Self:
        if self.package and self.url:
            raise ValueError("url: a file that a package ships is not downloaded; leave out url or package")
        return self
