"""The layouts of weight files: how a file names its tensors, and what else it holds.

A published layout is a file of `layouts/`, and an option names it by that file; any other is written out.
"""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BeforeValidator, Field

from whole_in_parts.config.section import Fraction, Positive, Section, WholeNumber

FOLDER = Path(__file__).parent / "layouts"
NAMES = sorted(file.stem for file in FOLDER.glob("*.yaml"))


class ProjectorLayout(Section):
    """The projector of a file: linear layers with batch norm and an activation between them."""

    prefix: str
    """What the names of its tensors begin with; the rest is their place in a `torch.nn.Sequential`."""
    bias: bool = True
    """Whether the linear layers have a bias."""
    last_bias: bool | None = None
    """Whether the last linear layer has a bias; as the others if left out."""
    norm: bool = True
    """Whether a batch norm follows each hidden layer."""
    last_norm: bool = False
    """Whether a batch norm without parameters follows the last layer."""
    activation: Literal["relu", "gelu"] = "relu"
    """The activation after each hidden layer."""


class Layout(Section):
    """How a file names the tensors of a network."""

    entry: str = ""
    """The entry of the file that holds the tensors, such as `state_dict`; empty if the file holds nothing else."""
    prefix: str = ""
    """What the names of the network's tensors begin with in the file."""
    rename: dict[str, str] = Field(default_factory=dict)
    """Regular expressions and what replaces them, in this order, in the names without the prefix; the results are the
    names of the backbone: torchvision's for ResNets, timm's for networks of timm."""
    ignore: list[str] = Field(default_factory=list)
    """What the names of tensors begin with, in the file, that are left aside: classifiers, predictors, targets."""
    projector: ProjectorLayout | None = None
    """The projector, if the file has one."""
    mean: list[Fraction] | None = None
    """Mean by which the network's input is normalised; any if left out."""
    std: list[Positive] | None = None
    """Standard deviation by which the network's input is normalised; any if left out."""
    stem_padding: dict[WholeNumber, WholeNumber] = Field(default_factory=dict)
    """Padding of a ResNet's first convolution by its kernel size, where it is not half the kernel."""


def _read(layout: object) -> object:
    if not isinstance(layout, str):
        return layout
    if layout not in NAMES:
        raise ValueError(
            f"no layout is called {layout}; there are: {', '.join(NAMES)}, or write one out with prefix and rename"
        )
    return yaml.safe_load((FOLDER / f"{layout}.yaml").read_text(encoding="utf-8"))


NamedLayout = Annotated[Layout, BeforeValidator(_read, json_schema_input_type=Layout | Literal[*NAMES])]
"""A layout, or the name of a published one."""
