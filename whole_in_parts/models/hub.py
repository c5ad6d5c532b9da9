"""Load a trained backbone by its folder or its name on the Hugging Face Hub."""

import re
from pathlib import Path

import torch

from whole_in_parts.failure import Failure, first_line
from whole_in_parts.models import saved_backbone
from whole_in_parts.models.backbone import Backbone

FILES = ("config.json", "model.safetensors")


def load(source: str | Path, device: str | torch.device = "cpu") -> Backbone:
    """Load a backbone, in evaluation mode and without gradients.

    Args:
        source: the folder `model` of a pretraining, or a repository of the Hub, `owner/name` or `owner/name@revision`.
        device: where its weights are.

    Raises:
        Failure: there is no such folder and no such repository, or it holds no model of this project.
    """
    folder = Path(source)
    backbone, _ = saved_backbone.load(folder if folder.is_dir() else downloaded(str(source)), torch.device(device))
    return backbone


def downloaded(name: str) -> Path:
    """Download the model of a repository of the Hub into its cache, and return the folder.

    Raises:
        Failure: the name is none of a repository, or the download failed.
    """
    if not (match := re.fullmatch(r"([\w.-]+/[\w.-]+)(?:@([\w.-]+))?", name)):
        raise Failure(f"{name}: neither a folder nor a name on the Hub, owner/name")
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(match[1], revision=match[2], allow_patterns=[*FILES]))
    except Exception as error:  # the Hub's client raises errors of many types
        raise Failure(f"{name}: no such folder, and the Hub does not give it ({first_line(error)})") from error
