"""Fetch a dataset from its source, as it comes, and check it: `results/fetch/<dataset>/`."""

from pathlib import Path

from whole_in_parts.config.study import Study
from whole_in_parts.data.source import load_source
from workflow import program


def fetch(study: Study, dataset: str, directory: Path) -> None:
    options = study.datasets[dataset].source
    load_source(options.name).fetch(options, directory)


if __name__ == "__main__":
    program.run(fetch)
