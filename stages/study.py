"""What `params.yaml` may say: every key, its type and its range. The only place that reads the file.

`python -m stages.study` writes the JSON Schema of it to `workflow/params.schema.json`, for editors and for people.
"""

import json
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

PARAMS = Path("params.yaml")
SCHEMA = Path("workflow/params.schema.json")


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the first bound, {bounds[0]}, is above the second, {bounds[1]}")
    return bounds


Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Shares = Annotated[tuple[Share, Share], AfterValidator(_ordered)]
Sizes = Annotated[tuple[Count, Count], AfterValidator(_ordered)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_]+$")]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Section(BaseModel):
    """A part of the study: unknown keys are refused, and nothing changes it once it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class FashionMNIST(Section):
    """Fashion-MNIST, from the Debian package where apt is there, else through torchvision."""

    name: Literal["fashion_mnist"]
    sha256: Sha256


class Digits(Section):
    """The handwritten digits that scikit-learn ships."""

    name: Literal["digits"]
    sha256: Sha256


class Folder(Section):
    """A folder `<split>/<class>/<image>`, or a tar of one, compressed or not.

    `sha256`, which `fetch` prints, pins the images; change it when they change.
    """

    name: Literal["folder"]
    path: Path
    sha256: Sha256 | None = None


class TorchvisionDataset(Section):
    """A class of `torchvision.datasets` that can download itself, by its name, such as CIFAR10 or STL10."""

    name: Literal["torchvision"]
    dataset: Name


class Expectations(Section):
    """What a dataset must hold for anything to read it."""

    train: Count
    test: Count
    classes: Annotated[int, Field(ge=2)]
    height: Sizes
    width: Sizes
    imbalance: Annotated[float, Field(ge=1)] = 1.0
    """Largest class of a split over its smallest, at most."""
    duplicates: Annotated[int, Field(ge=0)] = 0
    """Images that may be in both train and test: known flaws of a published set, counted and shown."""


class Dataset(Section):
    """A source of images, how it is packed, and what it has to hold."""

    source: Annotated[FashionMNIST | Digits | Folder | TorchvisionDataset, Field(discriminator="name")]
    samples_per_shard: Count
    expect: Expectations


class Stem(Section):
    """The first convolution: 3/1 without a pool for small images, 7/2 with one for large ones."""

    kernel: Count
    stride: Count
    pool: bool


class ResNet(Section):
    """A ResNet: the width of the first stage, and blocks and stride of each stage."""

    name: Literal["resnet"]
    block: Literal["basic", "bottleneck"]
    channels: Literal[1, 3]
    mean: list[Share]
    std: list[Positive]
    width: Count
    blocks: Annotated[list[Count], Field(min_length=1)]
    strides: Annotated[list[Count], Field(min_length=1)]
    stem: Stem

    @model_validator(mode="after")
    def lengths_agree(self):
        if len(self.blocks) != len(self.strides):
            raise ValueError(f"blocks has {len(self.blocks)} stages and strides {len(self.strides)}: give both as many")
        if not len(self.mean) == len(self.std) == self.channels:
            raise ValueError(f"mean and std take one number for each of the {self.channels} channels")
        return self


class RFResNet(ResNet):
    """A ResNet of restricted receptive field; `mlp: false` is the paper's `v0`."""

    name: Literal["rf_resnet"]  # type: ignore[assignment]
    mlp: bool

    @model_validator(mode="after")
    def blocks_have_a_middle(self):
        if min(self.blocks) < 3:
            raise ValueError(
                f"blocks: a stage of an RF-ResNet has at least 3, so that the middle is not the first; {self.blocks}"
            )
        return self


BackboneOptions = ResNet | RFResNet


def backbone_options(content: dict[str, object]) -> BackboneOptions:
    """The options of a backbone, read back from where they were saved."""
    adapter: TypeAdapter[BackboneOptions] = TypeAdapter(Annotated[BackboneOptions, Field(discriminator="name")])
    return adapter.validate_python(content)


class Random(Section):
    """No training: `epochs` is 0."""

    name: Literal["random"]


class Supervised(Section):
    """Cross-entropy on the labels."""

    name: Literal["supervised"]


class BYOL(Section):
    """The widths of projector and predictor, and how the target network follows."""

    name: Literal["byol"]
    hidden: Count
    output: Count
    momentum: Shares
    """Of the target network: at the first step and at the last."""


class NoModifier(Section):
    """The base alone."""

    name: Literal["none"]


class CO(Section):
    """`weight` is w_s; `map_size` is n, of the n² local representations, and 0 takes the map as it is."""

    name: Literal["co"]
    weight: NotNegative
    map_size: Annotated[int, Field(ge=0)] = 0
    shared_heads: bool = False


class View(Section):
    """The augmentations of one view: shares are probabilities, strengths are those of torchvision's ColorJitter."""

    crop_scale: Shares
    flip: Share = 0.5
    jitter: Share = 0.8
    brightness: Share = 0.4
    contrast: Share = 0.4
    saturation: Share = 0.2
    hue: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    greyscale: Share = 0.2
    blur: Share = 0.0
    solarize: Share = 0.0


class Optimizer(Section):
    """`learning_rate` is for a batch of 256 and scales with the batch."""

    name: Literal["sgd", "adamw", "lars"]
    learning_rate: Positive
    weight_decay: NotNegative
    warmup_epochs: NotNegative


class Run(Section):
    """One pretraining: a method, its modifier and all else that its weights depend on."""

    dataset: Name
    method: Annotated[Random | Supervised | BYOL, Field(discriminator="name")]
    modifier: Annotated[NoModifier | CO, Field(discriminator="name")]
    backbone: Annotated[BackboneOptions, Field(discriminator="name")]
    image_size: Count
    views: Annotated[list[View], Field(min_length=2, max_length=2)]
    epochs: Annotated[int, Field(ge=0)]
    batch_size: Annotated[int, Field(ge=2)]
    optimizer: Optimizer
    seed: int

    @model_validator(mode="after")
    def trains_if_its_method_does(self):
        if (self.method.name == "random") != (self.epochs == 0):
            raise ValueError(
                f"epochs: method random takes 0 epochs and every other at least 1; {self.method.name} has {self.epochs}"
            )
        return self


class Linear(Section):
    """The linear probe: SGD on standardised features, cosine schedule."""

    epochs: Count
    batch_size: Count
    learning_rate: Positive
    weight_decay: NotNegative


class KNN(Section):
    """Weighted cosine kNN: votes weigh exp(similarity / temperature)."""

    neighbours: list[Count]
    temperature: Positive


class Corrupt(Section):
    """Each corruption is applied at five severities to a subset of the test images."""

    corruptions: list[Literal["gaussian_noise", "defocus_blur"]]
    subset: Count


class Mask(Section):
    """`rates`: the percentages of the local representations that are dropped before pooling."""

    rates: list[Annotated[int, Field(ge=0, lt=100)]]
    subset: Count


class AttackSetting(Section):
    """L∞ PGD: `step` is the step size as a share of epsilon."""

    epsilon: NotNegative
    step: Positive
    iterations: Count


class Attack(Section):
    """Named settings of an attack on a subset of the test images."""

    settings: dict[Name, AttackSetting]
    subset: Count


class Transfer(Section):
    """The dataset that a linear probe is trained and tested on, as `linear` says."""

    dataset: Name


class Study(Section):
    """A whole `params.yaml`, in the order of the data."""

    recipes: dict[str, object] = {}
    """Pieces that runs merge (`<<: *name`); nothing reads them here."""
    datasets: dict[Name, Dataset]
    runs: Annotated[dict[Name, Run], Field(min_length=1)]
    linear: Linear
    knn: KNN
    corrupt: Corrupt
    mask: Mask
    attack: Attack
    transfer: Transfer

    @model_validator(mode="after")
    def datasets_are_there(self):
        asked = {f"runs.{name}.dataset": run.dataset for name, run in self.runs.items()}
        for key, dataset in (asked | {"transfer.dataset": self.transfer.dataset}).items():
            if dataset not in self.datasets:
                raise ValueError(f"{key}: no dataset is called {dataset}; there are: {', '.join(self.datasets)}")
        return self


def load(path: Path = PARAMS) -> Study:
    """Read and check a study.

    Raises:
        ValueError: the file is not there, is not YAML, or a key has a value that is not allowed; one line each.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ValueError(f"{path}: not found; run this from the folder that holds it") from None
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {error}") from None
    try:
        return Study.model_validate(content)
    except ValidationError as error:
        raise ValueError("\n".join(f"{path}: {_line(problem)}" for problem in error.errors())) from None


def _line(problem) -> str:
    key = ".".join(str(part) for part in problem["loc"])
    given = "" if isinstance(problem["input"], dict) else f" (given: {problem['input']!r})"
    return f"{key}: {problem['msg'].removeprefix('Value error, ')}{given}"


def schema() -> str:
    """The JSON Schema of a study, as it stands in `workflow/params.schema.json`."""
    return json.dumps(Study.model_json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    SCHEMA.write_text(schema(), encoding="utf-8")
