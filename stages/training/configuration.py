"""All that a training depends on, so that it goes on as what it was begun as."""

import hashlib
import json
import sys
from pathlib import Path

import torch

from stages.images.shards import INDEX
from stages.study.runs import Run


def configuration(options: Run, run: str, folder: Path) -> dict[str, str]:
    """All that a training depends on, by name: parameters, data and code."""
    facts = flat(f"runs.{run}", options.model_dump(mode="json")) | {"the version of torch": str(torch.__version__)}
    for index in sorted(folder.glob(f"*/{INDEX}")):
        facts[str(index)] = hashlib.sha256(index.read_bytes()).hexdigest()
    for name, module in sorted(sys.modules.items()):
        if name.startswith("stages.") and (file := module.__file__):
            facts[name] = hashlib.sha256(Path(file).read_bytes()).hexdigest()
    return facts


def flat(name: str, value: object) -> dict[str, str]:
    """The values within a value, as JSON, by the keys that lead to them."""
    if not isinstance(value, dict | list):
        return {name: json.dumps(value)}
    items = value.items() if isinstance(value, dict) else enumerate(value)
    return {key: text for each, inner in items for key, text in flat(f"{name}.{each}", inner).items()}
