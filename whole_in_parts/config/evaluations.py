"""The sections of the evaluations: one for each stage that follows pretraining."""

from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self, TypeVar

from pydantic import AfterValidator, Field, model_validator

from whole_in_parts.config.section import Count, Name, NotNegative, Positive, Section

Item = TypeVar("Item")

CORRUPTIONS = sorted(file.stem for file in Path(__file__).parents[1].glob("evaluation/corruptions/[!_]*.py"))
"""The corruptions that have a file; the package itself is not imported, since a study is no part of what it does."""


def _each_once(items: list[Item]) -> list[Item]:
    if twice := sorted({str(item) for item in items if items.count(item) > 1}):
        raise ValueError(f"named more than once: {', '.join(twice)}")
    return items


def _has_whole(names: list[str]) -> list[str]:
    if "whole" not in names:
        raise ValueError("whole is to be among them: the report and the stages after the probe ask for it")
    return names


def _has_all(percentages: list[int]) -> list[int]:
    if 100 not in percentages:
        raise ValueError("100 is to be among them: the report and the stages after the probe ask for it")
    return percentages


Representation = Annotated[str, Field(pattern=r"^(whole|patch|layer_[1-9][0-9]*)$")]
Percentage = Annotated[int, Field(gt=0, le=100)]
Percentages = Annotated[list[Percentage], AfterValidator(_each_once), AfterValidator(_has_all)]


class Extract(Section):
    """What is kept of each image: `whole`, `patch` (pooled, before the last layers), `layer_1` … (pooled maps)."""

    representations: Annotated[list[Representation], AfterValidator(_each_once), AfterValidator(_has_whole)]


class Linear(Section):
    """The linear probe, trained on each representation by each of `labels`, the percentages of the labels of a class.

    `solver: sgd` standardises the features, and `schedule` is a cosine or a tenth after 60 and after 80 per cent of the
    epochs. `lbfgs` is logistic regression, its penalty chosen on training samples that are held out; it reads none of
    the keys of SGD.
    """

    solver: Literal["sgd", "lbfgs"] = "sgd"
    schedule: Literal["cosine", "steps"] = "cosine"
    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: NotNegative
    labels: Percentages = Field(default=[100])


class KNN(Section):
    """Weighted cosine kNN: votes weigh exp(similarity / temperature).

    `labels` are the percentages of the labels of a class that may vote, as for the linear probe.
    """

    neighbours: Annotated[list[Count], Field(min_length=1)]
    temperature: Positive
    labels: Percentages = Field(default=[100])


def _known(name: str) -> str:
    if name not in CORRUPTIONS:
        raise ValueError(f"no corruption has this name; there are: {', '.join(CORRUPTIONS)}")
    return name


def _inside(folder: str) -> str:
    if PurePosixPath(folder).is_absolute() or ".." in PurePosixPath(folder).parts:
        raise ValueError("a path is to begin at the project's root and to stay in it; a link there may lead elsewhere")
    return folder


Corruption = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": CORRUPTIONS})]


class Corrupt(Section):
    """Each corruption is applied at five severities to a subset of the test images.

    `folder` has images that are corrupted already: `<corruption>/<severity>/<class>/<image>` as ImageNet-C is released,
    or `<corruption>.npy` and `labels.npy` as CIFAR-10-C is. They are read and nothing is generated.
    The path begins at the project's root. DVC does not watch the folder: after a change of its images, give it another
    name or run the stage with `--force`.
    """

    corruptions: Annotated[list[Corruption], AfterValidator(_each_once)]
    subset: Count
    folder: Annotated[str, AfterValidator(_inside)] | None = None


class Mask(Section):
    """`rates`: the percentages of the local representations that are dropped before pooling."""

    rates: list[Annotated[int, Field(ge=0, lt=100)]]
    subset: Count


class AttackSetting(Section):
    """L∞ PGD: `step` is the step size as a share of epsilon.

    It begins at the image or, with `random_start`, anywhere within epsilon; an image has to withstand each restart.
    """

    epsilon: NotNegative
    step: Positive
    iterations: Count
    random_start: bool = False
    restarts: Count = 1

    @model_validator(mode="after")
    def restarts_differ(self) -> Self:
        if self.restarts > 1 and not self.random_start:
            raise ValueError(f"restarts: {self.restarts} from the image itself are the same; add random_start: true")
        return self


class Attack(Section):
    """Named settings of an attack on a subset of the test images."""

    settings: dict[Name, AttackSetting]
    subset: Count

    @model_validator(mode="after")
    def names_are_free(self) -> Self:
        taken = {"key", "label", "clean", "clean_low", "clean_high", "samples"}
        taken |= {f"{name}_{bound}" for name in self.settings for bound in ("low", "high")}
        for name in self.settings:
            if name in taken:
                raise ValueError(f"settings.{name}: the name of another metric or column; give it another")
        return self
