"""What `params.yaml` may say: every key, its type and its range. The only place that reads the file.

`python -m stages.study` writes the JSON Schema of it to `workflow/params.schema.json`, for editors and for people.
"""

from pathlib import Path
from typing import Annotated, Self

import yaml
from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from whole_in_parts.config.analyse import Analyse
from whole_in_parts.config.datasets import Dataset
from whole_in_parts.config.evaluations import KNN, Attack, Corrupt, Extract, Linear, Mask
from whole_in_parts.config.runs import Run
from whole_in_parts.config.section import Name, Section
from whole_in_parts.config.transfer import Transfer

PARAMS = Path("params.yaml")
YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml's parser where it is there: ten times as fast, and a study of 300 runs has thousands of lines."""


class Study(Section):
    """A whole `params.yaml`, in the order of the data."""

    recipes: dict[str, object] = Field(default_factory=dict)
    """Pieces that runs merge (`<<: *name`); nothing reads them here."""
    datasets: dict[Name, Dataset]
    runs: Annotated[dict[Name, Run], Field(min_length=1)]
    extract: Extract
    linear: Linear
    knn: KNN
    corrupt: Corrupt
    mask: Mask
    attack: Attack
    transfer: Annotated[dict[Name, Transfer], Field(min_length=1)]
    analyse: Annotated[dict[Name, Analyse], Field(min_length=1)]

    @model_validator(mode="after")
    def datasets_are_there(self) -> Self:
        asked = {f"runs.{name}.dataset": run.dataset for name, run in self.runs.items()}
        asked |= {f"{name}.dataset": entry.dataset for name, entry in self.entries().items()}
        for key, dataset in asked.items():
            if dataset not in self.datasets:
                raise ValueError(f"{key}: no dataset is called {dataset}; there are: {', '.join(self.datasets)}")
        return self

    @model_validator(mode="after")
    def runs_are_there(self) -> Self:
        for name, entry in self.entries().items():
            if entry.run not in self.runs:
                raise ValueError(f"{name}.run: no run is called {entry.run}; there are: {', '.join(self.runs)}")
        return self

    @model_validator(mode="after")
    def runs_can_be_analysed(self) -> Self:
        for name, entry in self.analyse.items():
            if problem := entry.analysis.misfit(self.runs[entry.run]):
                raise ValueError(f"analyse.{name}.analysis.{problem} (run: {entry.run})")
        return self

    def entries(self) -> dict[str, Transfer | Analyse]:
        """What is asked of a run by entries of their own, by the place in the study."""
        kinds: dict[str, dict] = {"transfer": self.transfer, "analyse": self.analyse}
        return {f"{kind}.{name}": entry for kind, section in kinds.items() for name, entry in section.items()}


def load_study(path: Path = PARAMS) -> Study:
    """Read and check a study.

    Raises:
        ValueError: the file is not there, is not YAML, or a key has a value that is not allowed; one line each.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), YAML)
    except FileNotFoundError:
        raise ValueError(f"{path}: not found; run this from the folder that holds it") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {error}") from None
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise ValueError("\n".join(f"{path}: {_line(problem)}" for problem in error.errors())) from None


def _line(problem: ErrorDetails) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    given = "" if isinstance(problem["input"], dict) else f" (given: {problem['input']!r})"
    return f"{key}: {problem['msg'].removeprefix('Value error, ')}{given}"
