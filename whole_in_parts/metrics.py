"""The metrics of a stage, as a file."""

import json
from collections.abc import Mapping
from pathlib import Path


def write_metrics(directory: Path, metrics: Mapping[str, float | None]) -> None:
    """Write the flat `metrics.json` of a stage; accuracies are in per cent."""
    (directory / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
