"""Weights in the layout of this project's own results, which timm reads and writes, too."""

import json

from whole_in_parts.config.origins.model import ModelConfig
from whole_in_parts.failure import Failure
from whole_in_parts.models import weight_file
from whole_in_parts.models.origin import Released


def read(options: ModelConfig) -> Released:
    """Read `model.safetensors`, and from `config.json` the normalisation of the input.

    Raises:
        Failure: a file is missing or damaged, or the weights are others than is expected.
    """
    file = options.path / "model.safetensors"
    weight_file.check_sha256(file, options.sha256)
    try:
        config = json.loads((options.path / "config.json").read_text(encoding="utf-8"))["pretrained_cfg"]
        return Released(weight_file.read(file), {}, config["mean"], config["std"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Failure(f"{options.path / 'config.json'}: no configuration of a model ({error!r})") from error
