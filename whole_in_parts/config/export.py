"""The section `export`: pretrained backbones in the formats of other programs."""

from typing import Literal

from whole_in_parts.config.backbone import BackboneConfig
from whole_in_parts.config.section import Name, Section

TORCHVISION = ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152")
"""The networks of torchvision whose layers have the names of this project's."""


class Export(Section):
    """One backbone in one format, alone or with the classifier of its linear probe."""

    run: Name
    """The run to export: a key of `runs`."""
    format: Literal["onnx", "torchvision"] = "onnx"
    """`onnx`: a network of images in [0, 1]; `torchvision`: the weights of its ResNets, by its names, which expect
    normalised images."""
    output: Literal["features", "logits"] = "features"
    """The global representation, or the logits of the linear probe on stored features."""

    def incompatibility(self, backbone: BackboneConfig) -> str:
        """Return why a backbone cannot be exported in this format, or an empty string if it can."""
        if self.format == "onnx" or (backbone.architecture in TORCHVISION and backbone.channels == 3):
            return ""
        return (
            f"format: torchvision has no {backbone.name} ({backbone.summary}, {backbone.channels} channels); it has "
            f"{', '.join(TORCHVISION)}, of 3 channels; or take onnx"
        )
