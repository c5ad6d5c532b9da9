"""Write the metrics of a stage."""

import json
from collections.abc import Mapping
from pathlib import Path


def write_metrics(directory: Path, metrics: Mapping[str, float | None]) -> None:
    """Write `metrics.json`, a flat object, into a directory; accuracies are in per cent."""
    (directory / "metrics.json").write_text(json.dumps(metrics, indent=2) + "\n")
