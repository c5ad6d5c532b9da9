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


def configuration(options: Run, transform: ImageTransform, run: str, folder: Path) -> dict[str, str]:
    """List the dependencies of a training by name: options, data, code and the version of torch."""
    dependencies = flat(f"runs.{run}", effective(options)) | {"the version of torch": str(torch.__version__)}
    dependencies |= flat(f"datasets.{options.dataset}.test_transform", effective(transform))
    for index in sorted(folder.glob(f"*/{INDEX}")):
        dependencies[str(index)] = hashlib.sha256(index.read_bytes()).hexdigest()
    return dependencies | code.hashes("stages.pretrain", implementations({"run": options}))
