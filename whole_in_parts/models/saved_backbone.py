"""Save and load a trained backbone as `config.json` and `model.safetensors`, in the layout of timm's models.

`load` reads every backbone of this project. `timm.create_model("local-dir:…", pretrained=True)` reads those with an
architecture of timm's, and expects images that are normalised by the mean and std in the configuration.
"""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from whole_in_parts.config.backbone import BackboneConfig, backbone_config
from whole_in_parts.config.precision import Precision
from whole_in_parts.failure import UNFIT, Failure, described
from whole_in_parts.models.backbone import Backbone, build_backbone
from whole_in_parts.models.lean_loading import Uninitialised, load_file_into


def save(backbone: Backbone, options: BackboneConfig, image_size: int, folder: Path) -> None:
    """Write a backbone's weights and the configuration to rebuild it."""
    folder.mkdir(parents=True)
    timm_config = getattr(backbone.stored, "pretrained_cfg", {"first_conv": "conv1", "classifier": "fc"})
    config = {
        "architecture": options.architecture,
        "num_classes": 0,
        "num_features": backbone.features,
        "model_args": {"in_chans": options.channels, **backbone.arguments},
        "pretrained_cfg": {
            "input_size": [options.channels, image_size, image_size],
            "mean": options.mean,
            "std": options.std,
            "num_classes": 0,
            "first_conv": timm_config.get("first_conv"),
            "classifier": timm_config.get("classifier"),
        },
        "backbone": options.model_dump(),
    }
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")

    weights = {name: tensor.contiguous().cpu() for name, tensor in backbone.stored.state_dict().items()}
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def load(folder: Path, device: torch.device, precision: Precision = "float32") -> tuple[Backbone, int]:
    """Load a backbone, in evaluation mode and without gradients; return it with the image size of its training.

    Args:
        precision: the precision in which the backbone computes; its weights are float32.

    Raises:
        Failure: a file is missing or damaged, or the weights do not fit the configuration.
    """
    try:
        config = json.loads((folder / "config.json").read_text())
        with Uninitialised():
            backbone = build_backbone(backbone_config(config["backbone"]))
        load_file_into(backbone.stored, folder / "model.safetensors")
        size = side_of_images(config)
    except (OSError, SafetensorError, *UNFIT) as error:
        raise Failure(f"{folder}: no model that can be loaded ({described(error)})") from error
    backbone.precision = precision
    return backbone.to(device).eval().requires_grad_(False), size


def image_size(folder: Path) -> int:
    """Return the side of the images that a saved backbone was trained on, in pixels.

    Raises:
        Failure: its configuration is missing or damaged.
    """
    try:
        return side_of_images(json.loads((folder / "config.json").read_text()))
    except (OSError, *UNFIT) as error:
        raise Failure(f"{folder / 'config.json'}: not the configuration of a model ({described(error)})") from error


def side_of_images(config: dict[str, Any]) -> int:
    """Return the side of the images of a configuration, in pixels.

    Raises:
        ValueError: it is no number of pixels.
    """
    size = config["pretrained_cfg"]["input_size"][-1]
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"pretrained_cfg.input_size: {size!r} is no number of pixels")
    return size
