"""Fetch a dataset from its source, unchanged, and verify its checksum: `results/fetch/<dataset>/`."""

from pathlib import Path

from whole_in_parts.config.study import Study
from whole_in_parts.data.source import load_source
from workflow import program


def fetch(study: Study, dataset: str, directory: Path) -> None:
    """Fetch one dataset."""
    options = study.datasets[dataset].source
    load_source(options.name).fetch(options, directory)


if __name__ == "__main__":
    program.run(fetch)
