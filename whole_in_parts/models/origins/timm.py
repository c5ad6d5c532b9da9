"""Weights that timm publishes, under timm's names."""

import timm

from whole_in_parts.config.origins.timm import TimmConfig
from whole_in_parts.failure import Failure, first_line
from whole_in_parts.models import weight_file
from whole_in_parts.models.origin import FOLDER, Released


def read(options: TimmConfig) -> Released:
    """Take the file of `weights/`, or let timm download it.

    Raises:
        Failure: timm has no such weights, they cannot be downloaded, or the file is another than is expected.
    """
    if not timm.is_model_pretrained(options.model):
        names = timm.list_pretrained(f"{options.model.partition('.')[0]}*")
        raise Failure(
            f"origin.model: timm has no weights {options.model}; there are: {', '.join(names[:10]) or 'none'}"
        )

    file = FOLDER / f"{options.model}.safetensors"
    if options.sha256:
        weight_file.check_sha256(file, options.sha256)
    overlay = {"file": str(file)} if file.exists() else None
    try:
        network = timm.create_model(options.model, pretrained=True, num_classes=0, pretrained_cfg_overlay=overlay)
    except Exception as error:  # the Hub's client raises errors of many types
        raise Failure(
            f"timm's {options.model} cannot be loaded ({first_line(error)}); or put its file at {file}"
        ) from error
    return Released(network.state_dict(), {}, network.pretrained_cfg["mean"], network.pretrained_cfg["std"])
