"""The dependencies of a training, so that it resumes only with unchanged options, data and code."""

import hashlib
from pathlib import Path

import torch

from whole_in_parts.config.runs import Run
from whole_in_parts.config.transform import ImageTransform
from whole_in_parts.data.shards import INDEX
from workflow.provenance import code
from workflow.provenance.options import effective, implementations
from workflow.provenance.record import flat


def configuration(
    options: Run, transform: ImageTransform, run: str, folder: Path, start: Path | None
) -> dict[str, str]:
    """List the dependencies of a training by name: options, data, the weights it begins with, code and torch's version.

    Args:
        options: the run.
        transform: the test transform of its dataset.
        run: its name.
        folder: the packed dataset.
        start: the folder of the saved backbone that the training begins with, if there is one.
    """
    dependencies = flat(f"runs.{run}", effective(options)) | {"the version of torch": str(torch.__version__)}
    dependencies |= flat(f"datasets.{options.dataset}.test_transform", effective(transform))
    files = sorted(folder.glob(f"*/{INDEX}")) + ([start / "model.safetensors"] if start else [])
    for file in files:
        dependencies[str(file)] = hashlib.sha256(file.read_bytes()).hexdigest()
    return dependencies | code.hashes("stages.pretrain", implementations({"run": options}))
