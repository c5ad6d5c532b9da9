"""A trained backbone on disk: `config.json` and `model.safetensors`, laid out as timm lays out its models.

`load` reads every backbone of this project; `timm.create_model("local-dir:…", pretrained=True)` reads those whose
architecture timm knows, and expects images that are normalised by the mean and std in the configuration.
"""

import json
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from whole_in_parts.config.backbone import BackboneConfig, backbone_config
from whole_in_parts.config.backbones.resnet import ResNetConfig, Stem
from whole_in_parts.config.backbones.timm import TimmConfig
from whole_in_parts.failure import Failure
from whole_in_parts.models.backbone import Backbone, build_backbone

PLAIN = ("resnet", 64, Stem(kernel=7, stride=2, pool=True), [1, 2, 2, 2])
IN_TIMM: dict[tuple[str, tuple[int, ...]], str] = {
    ("basic", (2, 2, 2, 2)): "resnet18",
    ("basic", (3, 4, 6, 3)): "resnet34",
    ("bottleneck", (3, 4, 6, 3)): "resnet50",
}


def save(backbone: Backbone, options: BackboneConfig, image_size: int, folder: Path) -> None:
    """Write a backbone's weights and all that is needed to build it again."""
    folder.mkdir(parents=True)
    in_timm = getattr(backbone.stored, "pretrained_cfg", {"first_conv": "conv1", "classifier": "fc"})
    config = {
        "architecture": architecture(options),
        "num_classes": 0,
        "num_features": backbone.features,
        "model_args": {"in_chans": options.channels, **backbone.arguments},
        "pretrained_cfg": {
            "input_size": [options.channels, image_size, image_size],
            "mean": options.mean,
            "std": options.std,
            "num_classes": 0,
            "first_conv": in_timm.get("first_conv"),
            "classifier": in_timm.get("classifier"),
        },
        "backbone": options.model_dump(),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    weights = {name: tensor.contiguous().cpu() for name, tensor in backbone.stored.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def load(folder: Path, device: torch.device) -> tuple[Backbone, int]:
    """A saved backbone, in evaluation mode and without gradients, and the image size that it was trained at.

    Raises:
        Failure: a file is missing or not what was saved, or the weights do not fit the configuration.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
        backbone = build_backbone(backbone_config(config["backbone"]))
        backbone.stored.load_state_dict(load_file(folder / "model.safetensors"))
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise Failure(f"{folder}: no model that can be loaded ({error})") from error
    return backbone.to(device).eval().requires_grad_(False), config["pretrained_cfg"]["input_size"][-1]


def architecture(options: BackboneConfig) -> str:
    """timm's name of the network where it has one, else this project's."""
    if isinstance(options, TimmConfig):
        return options.model
    if isinstance(options, ResNetConfig) and (options.name, options.width, options.stem, options.strides) == PLAIN:
        return IN_TIMM.get((options.block, tuple(options.blocks)), options.name)
    return options.name
