"""Fetch a dataset from its source, as it comes, and check it: `results/fetch/<dataset>/`."""

from pathlib import Path

from stages import program
from stages.sources import source
from stages.study import Study


def fetch(study: Study, dataset: str, directory: Path) -> None:
    options = study.datasets[dataset].source
    source(options.name).fetch(options, directory)


if __name__ == "__main__":
    program.run(fetch)
