"""All that a training depends on, so that it goes on as what it was begun as."""

import hashlib
from pathlib import Path

import torch

from whole_in_parts.config.runs import Run
from whole_in_parts.data.shards import INDEX
from workflow.provenance import code
from workflow.provenance.options import effective, implementations
from workflow.provenance.record import flat


def configuration(options: Run, run: str, folder: Path) -> dict[str, str]:
    """All that a training depends on, by name: options, data, code and the version of torch."""
    facts = flat(f"runs.{run}", effective(options)) | {"the version of torch": str(torch.__version__)}
    for index in sorted(folder.glob(f"*/{INDEX}")):
        facts[str(index)] = hashlib.sha256(index.read_bytes()).hexdigest()
    return facts | code.hashes("stages.pretrain", implementations({"run": options}))
