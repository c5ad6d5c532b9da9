"""The digest of all that a stage depends on: its checkpoints belong to this digest, and to no other stage."""

import hashlib
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

import torch

from whole_in_parts.config.study import Study
from workflow.provenance.record import record, text


def digest(
    study: Study, kind: str, key: str, device: torch.device, files: Iterable[Path], packages: Iterable[str] = ()
) -> str:
    """Hash the options and the code of a stage, the device, the content of its input files and the versions of torch
    and of other packages.
    """
    versions = [torch.__version__, *map(version, packages)]
    state = hashlib.sha256(f"{text(record(study, kind, key))}{versions} {device.type}".encode())
    for file in sorted(files):
        state.update(file.read_bytes())
    return state.hexdigest()[:16]
