"""The sections of the evaluations: one section for each stage that follows pretraining."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from whole_in_parts.config.precision import BackbonePrecision
from whole_in_parts.config.section import Count, Name, NotNegative, Positive, Section, Seed, unique

CORRUPTIONS = sorted(file.stem for file in Path(__file__).parents[1].glob("evaluation/corruptions/[!_]*.py"))
"""The names of all corruptions, from their files; the package is not imported, so a study does not depend on it."""


def _includes_global(names: list[str]) -> list[str]:
    if "global" not in names:
        raise ValueError("global is to be among them: the report and the later stages read its results")
    return names


def _includes_all_labels(percentages: list[int]) -> list[int]:
    if 100 not in percentages:
        raise ValueError("100 is to be among them: the report and the later stages read its results")
    return percentages


Representation = Annotated[
    str, Field(pattern=r"^(global|patch|global_patch|layer_[1-9][0-9]*|class_tokens_[1-9][0-9]*)$")
]
Percentage = Annotated[int, Field(gt=0, le=100)]
Percentages = Annotated[list[Percentage], AfterValidator(unique), AfterValidator(_includes_all_labels)]


class Extract(BackbonePrecision):
    """The representations of each image that are stored as features."""

    representations: Annotated[list[Representation], AfterValidator(unique), AfterValidator(_includes_global)]
    """`global` (required), `patch` (pooled, before the last layers), `global_patch` (both, joined), `layer_1`, …
    (pooled maps), `class_tokens_1`, … (the class tokens of so many last blocks, joined)."""


class LinearOnCrops(BackbonePrecision):
    """Linear layers on frozen features of random crops, new in each epoch; the defaults are CO-SSL's."""

    epochs: Count = 100
    """Epochs of SGD."""
    batch_size: Count = 256
    """Images in a batch of SGD, over all processes."""
    representations: Annotated[list[Representation], Field(min_length=1), AfterValidator(unique)] = Field(
        default=["global"]
    )
    """The representations to classify: `global`, `patch`, `global_patch`, `layer_1`, …, `class_tokens_1`, …"""
    learning_rates: Annotated[tuple[Positive, ...], Field(min_length=1), AfterValidator(unique)] = (0.1,)
    """Initial learning rates of SGD. A layer is trained at each of them, all in one pass of the backbone; of several,
    the one that is best on held-out training images is evaluated."""
    best_epoch: bool = False
    """Evaluate also the layer of the epoch that is best on held-out training images."""
    held_out: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """Fraction of the training images of each class that choose among several learning rates, or the best epoch; not
    trained on."""
    schedule: Literal["cosine", "steps"] = "steps"
    """Learning rate over time: a half `cosine` to 0, or `steps`: divided by 10 after 60 % and 80 % of the epochs."""
    weight_decay: NotNegative = 0.0
    """Weight decay of SGD."""
    seed: Seed = 0
    """Random seed of the training."""

    @property
    def chooses(self) -> bool:
        """Whether held-out images choose among learning rates or epochs."""
        return self.best_epoch or len(self.learning_rates) > 1


class Linear(Section):
    """The linear probe on frozen features; `lbfgs` ignores all keys of SGD."""

    solver: Literal["sgd", "lbfgs"] = "sgd"
    """`sgd` on standardised features, or `lbfgs`: logistic regression, its penalty chosen on held-out train images."""
    schedule: Literal["cosine", "steps"] = "cosine"
    """Learning rate over time: a half `cosine` to 0, or `steps`: divided by 10 after 60 % and 80 % of the epochs."""
    epochs: Count
    """Epochs of SGD."""
    batch_size: Count
    """Images in a batch of SGD."""
    learning_rate: Positive
    """Initial learning rate of SGD."""
    weight_decay: NotNegative
    """Weight decay of SGD."""
    labels: Percentages = Field(default=[100])
    """Percentages of the labels of each class, 1 to 100; one probe is trained per percentage, and 100 is required."""
    crops: LinearOnCrops | None = None
    """A probe on random crops, as the papers train theirs, beside those on stored features; none if left out."""


class KNN(Section):
    """Weighted kNN by cosine similarity: a vote weighs exp(similarity / temperature)."""

    neighbours: Annotated[list[Count], Field(min_length=1)]
    """Numbers of neighbours k to evaluate; the report compares the first one."""
    temperature: Positive
    """Temperature of the weights of the votes."""
    labels: Percentages = Field(default=[100])
    """Percentages of the labels of each class that may vote, 1 to 100; 100 is required."""


def _is_corruption(name: str) -> str:
    if name not in CORRUPTIONS:
        raise ValueError(f"no corruption has this name; there are: {', '.join(CORRUPTIONS)}")
    return name


Corruption = Annotated[str, AfterValidator(_is_corruption), Field(json_schema_extra={"enum": CORRUPTIONS})]


class Evaluation(Section):
    """An evaluation that is asked of all runs, or of some."""

    runs: Annotated[list[Name], AfterValidator(unique)] | None = None
    """The runs to evaluate; all of them if left out."""

    def asks(self, run: str) -> bool:
        """Return whether a run is evaluated."""
        return self.runs is None or run in self.runs


class KNNOfRuns(Evaluation, KNN):
    """Weighted kNN on the features of runs."""


class Robustness(Evaluation):
    """An evaluation of the backbone with a linear classifier on a subset of the test images."""

    classifier: Literal["features", "crops"] = "features"
    """The linear probe that classifies: the one on stored `features`, or the one on random `crops` (`linear.crops`), as
    in the papers."""
    subset: Count
    """Approximate number of test images, stratified by class; all of them if there are fewer."""


class Corrupt(Robustness, BackbonePrecision):
    """Accuracy under image corruptions, each at five severities, on a subset of the test images."""

    corruptions: Annotated[list[Corruption], AfterValidator(unique)]
    """Names of the corruptions."""


class Mask(Robustness, BackbonePrecision):
    """Accuracy when a part of the local representations is dropped before pooling."""

    rates: list[Annotated[int, Field(ge=0, lt=100)]]
    """Percentages of the local representations that are dropped, 0 to 99."""


class AttackSetting(Section):
    """One setting of L∞ PGD."""

    epsilon: NotNegative
    """Radius ε of the L∞ ball, for pixels between 0 and 1; 0 is a control without perturbation."""
    step: Positive
    """Step size as a fraction of epsilon."""
    iterations: Count
    """Number of PGD steps."""
    random_start: bool = False
    """Start at a random point within epsilon instead of at the image."""
    restarts: Count = 1
    """Number of random starts; an image counts as robust only if it withstands all of them."""

    @model_validator(mode="after")
    def restarts_differ(self) -> Self:
        if self.restarts > 1 and not self.random_start:
            raise ValueError(f"restarts: {self.restarts} from the image itself are the same; add random_start: true")
        return self


class Attack(Robustness):
    """Accuracy under adversarial attack (L∞ PGD) on a subset of the test images, always in float32."""

    settings: dict[Name, AttackSetting]
    """The attacks by name; a name becomes a metric."""

    @model_validator(mode="after")
    def names_are_free(self) -> Self:
        taken = {"key", "label", "clean", "clean_low", "clean_high", "samples"}
        taken |= {f"{name}_{bound}" for name in self.settings for bound in ("low", "high")}
        for name in self.settings:
            if name in taken:
                raise ValueError(f"settings.{name}: the name of another metric or column; choose another name")
        return self


NO_KNN = KNNOfRuns(runs=[], neighbours=[1], temperature=1.0)
NO_CORRUPT = Corrupt(runs=[], corruptions=[], subset=1)
NO_MASK = Mask(runs=[], rates=[], subset=1)
NO_ATTACK = Attack(runs=[], settings={}, subset=1)
"""What stands for a section that a study leaves out: an evaluation of no run."""

NOT_ASKED: dict[str, Evaluation] = {"knn": NO_KNN, "corrupt": NO_CORRUPT, "mask": NO_MASK, "attack": NO_ATTACK}
"""The sections that may be left out, and what stands for them."""
