"""The options of a study: every key of `params.yaml`, its type and its range. No other module reads the file.

`python -m workflow.schema` writes the JSON Schema to `workflow/params.schema.json`, for editors and readers.
"""

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator
from pydantic_core import ErrorDetails

from whole_in_parts.config.analyse import Analyse
from whole_in_parts.config.datasets import Dataset, Expectations
from whole_in_parts.config.evaluations import (
    NO_ATTACK,
    NO_CORRUPT,
    NO_KNN,
    NO_MASK,
    NOT_ASKED,
    Attack,
    Corrupt,
    Extract,
    KNNOfRuns,
    Linear,
    Mask,
)
from whole_in_parts.config.export import Export
from whole_in_parts.config.grid import Grid, expand
from whole_in_parts.config.paper import PublishedRow
from whole_in_parts.config.params_file import read
from whole_in_parts.config.runs import Run
from whole_in_parts.config.section import Name, Section
from whole_in_parts.config.transfer import Transfer

PARAMS = Path("params.yaml")
LONGEST_VALUE = 200
"""Characters that a message shows of a value that is not allowed."""

MOST_PROBLEMS = 20
"""Lines of a message on a study that is not valid."""


class Study(Section):
    """A complete `params.yaml`; the sections are in the order of the data."""

    recipes: dict[str, object] = Field(default_factory=dict)
    """Fragments that runs merge (`<<: *name`); not read otherwise."""
    datasets: dict[Name, Dataset]
    """The datasets by name: source, packing and expectations."""
    runs: Annotated[dict[Name, Run], Field(min_length=1)]
    """The pretrainings by name; runs that differ in their seed alone form one group of the report."""
    grids: dict[Name, Grid] = Field(default_factory=dict)
    """Runs that vary options of another run in all combinations; `python -m workflow.grid` writes them into `runs`."""
    extract: Extract
    """The features that are stored of every run."""
    linear: Linear
    """The linear probe of every run."""
    knn: KNNOfRuns = NO_KNN
    """The kNN evaluation; no run is evaluated if it is left out."""
    corrupt: Corrupt = NO_CORRUPT
    """The evaluation under image corruptions; no run is evaluated if it is left out."""
    mask: Mask = NO_MASK
    """The evaluation with masked local representations; no run is evaluated if it is left out."""
    attack: Attack = NO_ATTACK
    """The evaluation under adversarial attack; no run is evaluated if it is left out."""
    transfer: dict[Name, Transfer] = Field(default_factory=dict)
    """The transfer tasks by name, each of one run on one dataset; may be left out."""
    analyse: dict[Name, Analyse] = Field(default_factory=dict)
    """The analyses by name, each of one run on one dataset; may be left out."""
    export: dict[Name, Export] = Field(default_factory=dict)
    """The backbones to export by name, each of one run in one format; may be left out."""
    published: list[PublishedRow] = Field(default_factory=list)
    """Published figures that runs are compared with in the report; may be left out."""

    @model_validator(mode="after")
    def datasets_are_defined(self) -> Self:
        names = {f"runs.{name}.dataset": run.dataset for name, run in self.runs.items()}
        names |= {f"{key}.dataset": entry.dataset for key, entry in self.entries().items()}
        for key, dataset in names.items():
            if dataset not in self.datasets:
                raise ValueError(f"{key}: no dataset is called {dataset}; there are: {', '.join(self.datasets)}")
        return self

    @model_validator(mode="after")
    def runs_are_those_of_the_grids(self) -> Self:
        for name, grid in self.grids.items():
            if grid.run not in self.runs:
                raise ValueError(f"grids.{name}.run: no run is called {grid.run}; there are: {', '.join(self.runs)}")
            for run, options in expand(
                name, grid.model_dump(), self.runs[grid.run].model_dump(mode="json", exclude_unset=True)
            ):
                if self.runs.get(run) != Run.model_validate(options):
                    raise ValueError(
                        f"grids.{name}: runs.{run} is not as the grid says; write it: python -m workflow.grid"
                    )
        return self

    @model_validator(mode="after")
    def starts_are_built_before(self) -> Self:
        above: dict[str, Run] = {}
        for name, run in self.runs.items():
            if run.start and run.start not in above:
                raise ValueError(
                    f"runs.{name}.start: no run above it is called {run.start}; allowed: {', '.join(above) or 'none'}"
                )
            if run.start and above[run.start].backbone != run.backbone:
                raise ValueError(f"runs.{name}.start: {run.start} has another backbone, and its weights would not fit")
            above[name] = run
        return self

    @model_validator(mode="after")
    def splits_are_packed(self) -> Self:
        for name, run in self.runs.items():
            if run.split == "unlabelled" and not getattr(self.datasets[run.dataset].source, "unlabelled", False):
                raise ValueError(
                    f"runs.{name}.split: {run.dataset} has no split unlabelled; allowed is train, or a source with "
                    "`unlabelled: true`"
                )
        return self

    @model_validator(mode="after")
    def runs_are_defined(self) -> Self:
        exports = {f"export.{name}": entry for name, entry in self.export.items()}
        for key, entry in [*self.entries().items(), *exports.items()]:
            if entry.run not in self.runs:
                raise ValueError(f"{key}.run: no run is called {entry.run}; there are: {', '.join(self.runs)}")
        return self

    @model_validator(mode="after")
    def published_runs_are_defined(self) -> Self:
        for number, row in enumerate(self.published):
            if row.run not in self.runs:
                raise ValueError(
                    f"published.{number}.run: no run is called {row.run}; there are: {', '.join(self.runs)}"
                )
        return self

    @model_validator(mode="after")
    def evaluated_runs_are_defined(self) -> Self:
        for name in NOT_ASKED:
            for run in getattr(self, name).runs or []:
                if run not in self.runs:
                    raise ValueError(f"{name}.runs: no run is called {run}; there are: {', '.join(self.runs)}")
        return self

    @model_validator(mode="after")
    def test_transforms_fit(self) -> Self:
        evaluated = {f"runs.{name}": (run, run.dataset) for name, run in self.runs.items()}
        evaluated |= {key: (self.runs[entry.run], entry.dataset) for key, entry in self.entries().items()}
        for key, (run, dataset) in evaluated.items():
            transform = self.datasets[dataset].test_transform
            if not transform.fits(run.image_size):
                raise ValueError(
                    f"datasets.{dataset}.test_transform.resize: {transform.resize} is smaller than the crop of "
                    f"{run.image_size}, the image_size of the run that {key} evaluates"
                )
        return self

    @model_validator(mode="after")
    def classifiers_are_trained(self) -> Self:
        crops = self.linear.crops
        for name in ("corrupt", "mask", "attack"):
            if getattr(self, name).classifier == "crops" and not (crops and "global" in crops.representations):
                raise ValueError(
                    f"{name}.classifier: crops needs a probe on crops of the global representation; add linear.crops, "
                    "or take features"
                )
        return self

    @model_validator(mode="after")
    def runs_can_be_analysed(self) -> Self:
        for name, entry in self.analyse.items():
            if problem := entry.analysis.incompatibility(self.runs[entry.run]):
                raise ValueError(f"analyse.{name}.analysis.{problem} (run: {entry.run})")
        return self

    @model_validator(mode="after")
    def runs_can_be_exported(self) -> Self:
        for name, entry in self.export.items():
            if problem := entry.incompatibility(self.runs[entry.run].backbone):
                raise ValueError(f"export.{name}.{problem} (run: {entry.run})")
        return self

    def expectations(self, dataset: str) -> Expectations:
        """Return the expectations of a dataset.

        Raises:
            ValueError: `expect` is left out.
        """
        expect = self.datasets[dataset].expect
        if expect is None:
            raise ValueError(
                f"datasets.{dataset}.expect: left out; `python -m stages.contract {dataset} --propose` prints what the "
                "packed images are, to be read and kept in params.yaml"
            )
        return expect

    def entries(self) -> dict[str, Transfer | Analyse]:
        """Return the entries of `transfer` and `analyse` by their dotted key, such as `transfer.byol_digits`."""
        entries: dict[str, Transfer | Analyse] = {}
        entries |= {f"transfer.{name}": entry for name, entry in self.transfer.items()}
        entries |= {f"analyse.{name}": entry for name, entry in self.analyse.items()}
        return entries


def load_study(path: Path = PARAMS) -> Study:
    """Read and validate a study.

    Raises:
        ValueError: the file is missing or not plain YAML, or keys have values that are not allowed (one line per key).
    """
    content = read(path)
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        problems = error.errors()
        lines = [f"{path}: {_line(problem)}" for problem in problems[:MOST_PROBLEMS]]
        if len(problems) > MOST_PROBLEMS:
            lines.append(f"{path}: and {len(problems) - MOST_PROBLEMS} more")
        raise ValueError("\n".join(lines)) from None


def _line(problem: ErrorDetails) -> str:
    """Format a validation error as one line: the dotted key, the message and the offending value."""
    key = _shortened(".".join(str(part) for part in problem["loc"]))
    value = "" if isinstance(problem["input"], dict) else f" (given: {_shortened(repr(problem['input']))})"
    message = _shortened(problem["msg"].removeprefix("Value error, "), 5 * LONGEST_VALUE)
    return f"{key}: {message}{value}" if key else message


def _shortened(text: str, longest: int = LONGEST_VALUE) -> str:
    """Return a text on one line, and not longer than a message should be."""
    line = " ".join(text.split())
    return line if len(line) <= longest else f"{line[:longest]}…"
